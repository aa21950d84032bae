//go:build unix

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// FerretDB runs the program of knative/local/ferretdb, built as binary, on a
// folder. It speaks MongoDB's protocol without a login.
func FerretDB(ctx context.Context, dir, binary string) (*Part, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("ferretdb: %s is %w", binary, ErrMissing)
	}
	dir, err := makeFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("ferretdb: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("ferretdb: %w", err)
	}
	p := &Part{
		Address: loopback(port),
		name:    "ferretdb",
		log:     filepath.Join(dir, "ferretdb.log"),
	}
	p.argv = []string{binary, "--listen", p.Address, "--data", filepath.Join(dir, "data")}
	p.ask = p.askMongo
	return open(ctx, p)
}

// askMongo asks whether the server takes commands.
func (p *Part) askMongo(ctx context.Context) error {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + p.Address + "/").
		SetDirect(true).SetServerSelectionTimeout(askTimeout))
	if err != nil {
		return err
	}
	defer client.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // it was only asked
	return client.Ping(ctx, nil)
}
