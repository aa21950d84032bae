package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Bounds of what is fetched.
const (
	maxArchive   = 8 << 30
	maxRedirects = 3
	headTimeout  = 30 * time.Second // until an answer begins
	fetchTimeout = 30 * time.Minute // until it has ended
)

// errTooLong is that an archive is longer than any that could be checked.
var errTooLong = errors.New("it is longer than 8 GiB")

// open opens an archive: a file, or what an address answers. The caller must close it.
func open(ctx context.Context, of string) (io.ReadCloser, error) {
	at, isURL := address(of)
	if !isURL {
		file, err := os.Open(of)
		if err != nil {
			return nil, fmt.Errorf("open archive: %w", err)
		}
		return bounded(file, file.Close), nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	answer, err := fetch(ctx, at, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("fetch archive: %w", err)
	}
	return bounded(answer.Body, func() error {
		defer cancel()
		return answer.Body.Close()
	}), nil
}

func address(of string) (*url.URL, bool) {
	at, err := url.Parse(of)
	return at, err == nil && (at.Scheme == "http" || at.Scheme == "https") && at.Host != ""
}

// fetch asks for an address and returns its answer, if that is 200. The caller must
// close its body.
func fetch(ctx context.Context, at *url.URL, headers map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: headTimeout, TLSHandshakeTimeout: headTimeout, ForceAttemptHTTP2: true},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			if len(headers) > 0 && to.URL.Host != via[0].URL.Host {
				return errors.New("it is sent on to another house")
			}
			return nil
		},
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // what it says besides is welcome
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers %s: %s", at.Redacted(), answer.Status, strings.TrimSpace(string(said)))
	}
	return answer, nil
}

// source is an archive that is read no further than it may be long.
type source struct {
	io.Reader
	close func() error
}

func (s source) Close() error { return s.close() }

func bounded(from io.Reader, close func() error) source {
	return source{bufio.NewReaderSize(&limited{from, maxArchive}, 1<<20), close}
}

// limited reads so much and no more: what is longer is an error, not an end.
type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
