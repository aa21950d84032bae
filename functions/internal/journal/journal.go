package journal

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"marimba/config"
	"marimba/functions/internal/mongodb"
)

// insertTimeout bounds an append: it ends before the source's delivery timeout of
// 30 s, so that its error is ours to tell.
const insertTimeout = 20 * time.Second

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
	client, err := mongodb.Client(cfg)
	if err != nil {
		return nil, err
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
