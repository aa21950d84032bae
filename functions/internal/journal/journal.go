package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"marimba/config"
)

// Bounds of a conversation with MongoDB. An append ends before the source's
// delivery timeout of 30 s, so that its error is ours to tell.
const (
	selectTimeout  = 5 * time.Second
	connectTimeout = 5 * time.Second
	insertTimeout  = 20 * time.Second
	poolSize       = 16
)

// Journal is the log. It is safe for concurrent use.
type Journal struct {
	client     *mongo.Client
	boxes      *mongo.Collection
	lives      *mongo.Collection
	seals      *mongo.Collection
	dead       *mongo.Collection
	statements *mongo.Collection
	annulments *mongo.Collection
	forgotten  *mongo.Collection
	sealed     sealed // what was read of seals
	writer     *writer
}

// Open returns the log in the MongoDB of cfg. It does not connect: each call
// does when it needs to, so a MongoDB that is away is an error of the call.
// Close ends what Open starts.
func Open(cfg config.Mongo) (*Journal, error) {
	opt := options.Client().
		ApplyURI(cfg.URL.Reveal()).
		SetServerSelectionTimeout(selectTimeout).
		SetConnectTimeout(connectTimeout).
		SetMaxPoolSize(poolSize).
		SetMonitor(watch()).
		// A vote that is in the log is on disk, and on most members of a replica set.
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
	db := client.Database(cfg.Database)
	j := &Journal{
		client: client, boxes: db.Collection("boxes"), dead: db.Collection("dead"), statements: db.Collection("statements"),
		lives: db.Collection("lives"), seals: db.Collection("seals"),
		annulments: db.Collection("annulments"), forgotten: db.Collection("forgotten"),
	}
	j.writer = newWriter(mongoStore{db, j.boxes})
	return j, nil
}

// Close writes what is waiting to be written, and ends the connections. Nothing
// may be appended after it.
func (j *Journal) Close(ctx context.Context) error {
	if err := j.writer.close(ctx); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	if err := j.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
