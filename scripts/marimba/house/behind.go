package house

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// Behind returns how many events the sources have yet to deliver.
func Behind(ctx context.Context, broker string) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var left int64
	for _, route := range events.Routes {
		for _, topic := range route.Reads {
			ends, err := admin.ListEndOffsets(ctx, string(topic))
			if err != nil {
				return 0, err
			}
			done, err := admin.FetchOffsets(ctx, events.GroupOf(route.Function))
			if err != nil {
				return 0, err
			}
			ends.Each(func(end kadm.ListedOffset) {
				at := int64(0)
				if o, ok := done.Lookup(end.Topic, end.Partition); ok {
					at = max(0, o.At)
				}
				left += max(0, end.Offset-at)
			})
		}
	}
	return left, nil
}
