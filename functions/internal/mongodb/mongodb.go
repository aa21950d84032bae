// Package mongodb says how the house talks to MongoDB: how long it waits, what
// counts as written, and that each command is told of.
package mongodb

import (
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"marimba/config"
)

// Bounds of a conversation with MongoDB.
const (
	selectTimeout  = 5 * time.Second
	connectTimeout = 5 * time.Second
	poolSize       = 16
)

// codeDuplicateKey is MongoDB's code of a document whose _id is there already.
const codeDuplicateKey = 11000

// Client returns a client of the MongoDB of cfg. It does not connect: each call
// does when it needs to, so a MongoDB that is away is an error of the call. No
// error holds the password.
func Client(cfg config.Mongo) (*mongo.Client, error) {
	opt := options.Client().
		ApplyURI(cfg.URL.Reveal()).
		SetServerSelectionTimeout(selectTimeout).
		SetConnectTimeout(connectTimeout).
		SetMaxPoolSize(poolSize).
		SetMonitor(watch()).
		// What is written is on disk, and on most members of a replica set.
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: new(true)}).
		SetReadConcern(readconcern.Majority())
	if opt.Validate() != nil {
		return nil, errors.New("MONGO_URL is not a mongodb:// connection string") // its own words may hold the password
	}
	if cfg.TLSCA != "" {
		if opt.TLSConfig == nil {
			return nil, errors.New("MONGO_TLS_CA is set, but MONGO_URL does not ask for TLS: tls=true")
		}
		opt.TLSConfig.RootCAs = cfg.TLSCA.Pool()
	}
	client, err := mongo.Connect(opt)
	if err != nil {
		return nil, errors.New("MONGO_URL is not a mongodb:// connection string of a known form")
	}
	return client, nil
}

// Duplicates returns the places of the documents that an unordered insert did not
// write because their _id is there already. All others were written. An error is
// of any other kind, and says nothing of what was written.
func Duplicates(err error) ([]int, error) {
	if err == nil {
		return nil, nil
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return nil, err
	}
	var places []int
	for _, e := range bulk.WriteErrors {
		if e.Code != codeDuplicateKey {
			return nil, err
		}
		places = append(places, e.Index)
	}
	return places, nil
}
