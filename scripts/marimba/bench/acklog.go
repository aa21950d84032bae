package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// The log store that only acknowledges. It speaks as much of MongoDB's protocol as
// tally and notary need, and throws both logs away: with it the functions show what
// they can do themselves. It keeps the few small documents that tally reads back, of lives and
// seals. No audit is possible on it, and every report says so.

// boxes is the collection of the log, which is not kept.
const boxes = "boxes"

// thrownAway are the collections of both logs.
var thrownAway = []string{boxes, "leaves", "sealed", "tiles", "logs"}

// Bounds of the store. What it keeps is small: a document for each life.
const (
	maxMessage = 48 << 20
	maxKept    = 10_000 // documents
)

// MongoDB's opcodes.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// acknowledging is the store's state.
type acknowledging struct {
	mu   sync.Mutex
	kept map[string][]bson.Raw // by collection
}

func serveAcknowledging(ctx context.Context, lis net.Listener) error {
	s := &acknowledging{kept: map[string][]bson.Raw{}}
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	for {
		conn, err := lis.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close() //nolint:errcheck // whoever is there has gone, or is wrong
			_ = s.talk(bufio.NewReaderSize(conn, 1<<20), conn)
		}()
	}
}

// talk answers messages until the connection ends.
func (s *acknowledging) talk(in *bufio.Reader, out io.Writer) error {
	for {
		var head [16]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		length := int32(binary.LittleEndian.Uint32(head[:]))
		request, op := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[12:])
		if length < 16 || length > maxMessage {
			return fmt.Errorf("a message of %d bytes", length)
		}
		body := make([]byte, length-16)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		reply, err := s.reply(op, body)
		if err != nil {
			return err
		}
		head = [16]byte{}
		binary.LittleEndian.PutUint32(head[:], uint32(16+len(reply)))
		binary.LittleEndian.PutUint32(head[8:], request)
		binary.LittleEndian.PutUint32(head[12:], opMsg)
		if op == opQuery {
			binary.LittleEndian.PutUint32(head[12:], opReply)
		}
		if _, err := out.Write(append(head[:], reply...)); err != nil {
			return err
		}
	}
}

// reply answers the body of one message.
func (s *acknowledging) reply(op uint32, body []byte) ([]byte, error) {
	switch op {
	case opMsg:
		command, docs, err := parseMessage(body)
		if err != nil {
			return nil, err
		}
		answer, err := s.answer(command, docs)
		// Flags, and one section of kind 0.
		return append(make([]byte, 5), answer...), err
	case opQuery: // the first hello of a connection
		answer, err := bson.Marshal(hello())
		if err != nil {
			return nil, err
		}
		// Flags 8 (await capable), cursor 0, starting from 0, one document.
		out := make([]byte, 20)
		binary.LittleEndian.PutUint32(out, 8)
		binary.LittleEndian.PutUint32(out[16:], 1)
		return append(out, answer...), nil
	}
	return nil, fmt.Errorf("opcode %d", op)
}

// parseMessage takes an OP_MSG apart: its command, and the documents that stand
// beside it.
func parseMessage(body []byte) (command bson.Raw, docs []bson.Raw, err error) {
	if len(body) < 5 {
		return nil, nil, errors.New("a message that is cut off")
	}
	end := len(body)
	if flags := binary.LittleEndian.Uint32(body); flags&1 != 0 { // a checksum stands at the end
		if end -= 4; end < 5 {
			return nil, nil, errors.New("a message that is cut off")
		}
	}
	for body = body[4:end]; len(body) > 0; {
		kind := body[0]
		body = body[1:]
		switch kind {
		case 0:
			doc, rest, ok := bsoncore.ReadDocument(body)
			if !ok {
				return nil, nil, errors.New("a command that is cut off")
			}
			command, body = bson.Raw(doc), rest
		case 1:
			if len(body) < 4 {
				return nil, nil, errors.New("documents that are cut off")
			}
			size := int(binary.LittleEndian.Uint32(body))
			if size < 5 || size > len(body) {
				return nil, nil, fmt.Errorf("documents of %d bytes", size)
			}
			section := body[4:size]
			body = body[size:]
			at := 0
			for at < len(section) && section[at] != 0 { // the sequence's name
				at++
			}
			for section = section[min(at+1, len(section)):]; len(section) > 0; {
				doc, rest, ok := bsoncore.ReadDocument(section)
				if !ok {
					return nil, nil, errors.New("a document that is cut off")
				}
				docs, section = append(docs, bson.Raw(doc)), rest
			}
		default:
			return nil, nil, fmt.Errorf("a section of kind %d", kind)
		}
	}
	if command == nil {
		return nil, nil, errors.New("a message without a command")
	}
	return command, docs, nil
}
