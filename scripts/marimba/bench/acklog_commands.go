package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// hello is what a lone server says of itself.
func hello() bson.D {
	return bson.D{
		{Key: "helloOk", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)}, {Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		{Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "localTime", Value: time.Now()},
		{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)},
		{Key: "readOnly", Value: false}, {Key: "ok", Value: 1.0},
	}
}

// MongoDB's codes of errors.
const (
	duplicateKey   = 11000
	noSuchCommand  = 59
	exceededMemory = 146
)

// answer carries a command out.
func (s *acknowledging) answer(command bson.Raw, docs []bson.Raw) (bson.Raw, error) {
	first, err := command.IndexErr(0)
	if err != nil {
		return nil, fmt.Errorf("a command without a name: %w", err)
	}
	name := first.Key()
	collection, _ := first.Value().StringValueOK()
	var reply bson.D
	switch name {
	case "hello", "isMaster", "ismaster":
		reply = hello()
	case "ping", "endSessions", "createIndexes", "create":
		reply = bson.D{{Key: "ok", Value: 1.0}}
	case "buildInfo":
		reply = bson.D{{Key: "version", Value: "7.0.0"}, {Key: "ok", Value: 1.0}}
	case "insert":
		if inline, ok := command.Lookup("documents").ArrayOK(); ok {
			values, err := inline.Values()
			if err != nil {
				return nil, err
			}
			for _, value := range values {
				docs = append(docs, value.Document())
			}
		}
		reply = s.insert(collection, docs)
	case "update": // notary's alone: the head of a public log
		if collection != "logs" {
			return bson.Marshal(refusal(noSuchCommand, "the log store that only acknowledges updates nothing of "+collection))
		}
		reply = bson.D{{Key: "n", Value: int32(1)}, {Key: "nModified", Value: int32(1)}, {Key: "ok", Value: 1.0}}
	case "find":
		if reply, err = s.find(collection, command); err != nil {
			return nil, err
		}
	default:
		reply = refusal(noSuchCommand, "the log store that only acknowledges has no "+name)
	}
	return bson.Marshal(reply)
}

func refusal(code int32, why string) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: code}, {Key: "errmsg", Value: why}}
}

// insert acknowledges documents of the log, and keeps others.
func (s *acknowledging) insert(collection string, docs []bson.Raw) bson.D {
	n := int32(len(docs))
	reply := bson.D{}
	if !slices.Contains(thrownAway, collection) {
		var faults bson.A
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.kept[collection])+len(docs) > maxKept {
			return refusal(exceededMemory, "more small documents than the log store that only acknowledges keeps")
		}
		for i, doc := range docs {
			if slices.ContainsFunc(s.kept[collection], func(known bson.Raw) bool { return known.Lookup("_id").Equal(doc.Lookup("_id")) }) {
				faults = append(faults, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: int32(duplicateKey)}, {Key: "errmsg", Value: "duplicate key"}})
				n--
				continue
			}
			s.kept[collection] = append(s.kept[collection], slices.Clone(doc))
		}
		if faults != nil {
			reply = append(reply, bson.E{Key: "writeErrors", Value: faults})
		}
	}
	return append(reply, bson.E{Key: "n", Value: n}, bson.E{Key: "ok", Value: 1.0})
}

// find returns kept documents whose fields are equal to the filter's, in the order
// of one number if that is asked for. Of the log there are none.
func (s *acknowledging) find(collection string, command bson.Raw) (bson.D, error) {
	filter, _ := command.Lookup("filter").DocumentOK()
	wanted, err := filter.Elements()
	if err != nil && filter != nil {
		return nil, errors.New("a filter that cannot be read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []bson.Raw{}
	for _, doc := range s.kept[collection] {
		fits := true
		for _, field := range wanted {
			fits = fits && doc.Lookup(field.Key()).Equal(field.Value())
		}
		if fits {
			found = append(found, doc)
		}
	}
	if by, ok := command.Lookup("sort").DocumentOK(); ok {
		if field, err := by.IndexErr(0); err == nil {
			key, direction := field.Key(), field.Value().AsInt64()
			slices.SortStableFunc(found, func(a, b bson.Raw) int {
				x, _ := a.Lookup(key).AsInt64OK()
				y, _ := b.Lookup(key).AsInt64OK()
				return int(direction) * cmp.Compare(x, y)
			})
		}
	}
	if limit, ok := command.Lookup("limit").AsInt64OK(); ok && limit > 0 {
		found = found[:min(int(limit), len(found))]
	}
	return bson.D{{Key: "cursor", Value: bson.D{
		{Key: "id", Value: int64(0)}, {Key: "ns", Value: "marimba." + collection}, {Key: "firstBatch", Value: found},
	}}, {Key: "ok", Value: 1.0}}, nil
}
