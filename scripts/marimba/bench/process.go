package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tick is the kernel's unit of CPU time in /proc/<pid>/stat: USER_HZ, a hundred a
// second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// consumed is what a process has used since it started, and what it holds.
type consumed struct {
	cpu      time.Duration
	resident int64 // bytes
}

// consumption reads what a process uses from /proc.
func consumption(pid int) (consumed, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return consumed{}, err
	}
	return parseStat(string(text), int64(os.Getpagesize()))
}

// parseStat reads a line of /proc/<pid>/stat (proc(5)). The program's name, in
// parentheses, may hold spaces and parentheses.
func parseStat(line string, page int64) (consumed, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return consumed{}, errors.New("stat: no name of a program")
	}
	// From the third field on: state is number 3, utime 14, stime 15, rss 24.
	fields := strings.Fields(line[end+1:])
	if len(fields) < 22 {
		return consumed{}, fmt.Errorf("stat: %d fields", len(fields))
	}
	var numbers [3]int64
	for i, at := range [...]int{14 - 3, 15 - 3, 24 - 3} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return consumed{}, fmt.Errorf("stat: field %d: %w", at+3, err)
		}
		numbers[i] = n
	}
	return consumed{time.Duration(numbers[0]+numbers[1]) * tick, numbers[2] * page}, nil
}

// crew names the processes that are measured, by what they are.
type crew map[string][]int

// lookEvery is how often processes are looked at: what one that ends between two
// looks used since the first is not seen.
const lookEvery = 100 * time.Millisecond

// meter measures what processes use while something is done. A process that
// starts meanwhile is measured from its start.
type meter struct {
	members func() crew
	end     chan struct{}
	ended   chan struct{}

	mu    sync.Mutex
	first map[int]time.Duration // CPU at the start
	last  map[int]consumed
	peak  map[int]int64
	of    map[int]string
}

// used is what was used, by what the processes are.
type used struct {
	CPU  map[string]float64 `json:"cpu_s"`
	Peak map[string]float64 `json:"peak_mib"` // of the largest process of each
}

func startMeter(members func() crew) *meter {
	m := &meter{
		members: members, end: make(chan struct{}), ended: make(chan struct{}),
		first: map[int]time.Duration{}, last: map[int]consumed{}, peak: map[int]int64{}, of: map[int]string{},
	}
	m.look(true)
	go func() {
		defer close(m.ended)
		again := time.NewTicker(lookEvery)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				m.look(false)
			case <-m.end:
				return
			}
		}
	}()
	return m
}

func (m *meter) look(atStart bool) {
	members := m.members()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, pids := range members {
		for _, pid := range pids {
			now, err := consumption(pid)
			if err != nil {
				continue // it has ended: what was seen last stands
			}
			if atStart {
				m.first[pid] = now.cpu
			}
			m.of[pid], m.last[pid] = name, now
			m.peak[pid] = max(m.peak[pid], now.resident)
		}
	}
}

// stop ends the measuring and says what was used.
func (m *meter) stop() used {
	close(m.end)
	<-m.ended
	m.look(false)
	u := used{CPU: map[string]float64{}, Peak: map[string]float64{}}
	for pid, name := range m.of {
		u.CPU[name] += (m.last[pid].cpu - m.first[pid]).Seconds()
		u.Peak[name] = max(u.Peak[name], float64(m.peak[pid])/(1<<20))
	}
	return u
}
