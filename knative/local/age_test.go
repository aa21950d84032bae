//go:build unix

package local

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Keys of the embedded Redis end when their life span does, and not before.
func TestKeysEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := miniredis.NewMiniRedis()
		for key, span := range map[string]time.Duration{"second": time.Minute, "minute": time.Hour} {
			if err := r.Set(key, "1"); err != nil {
				t.Fatal(err)
			}
			r.SetTTL(key, span)
		}
		go age(ctx, r)
		for _, want := range []bool{true, false} {
			time.Sleep(50 * time.Second)
			synctest.Wait()
			if got := r.Exists("second"); got != want || !r.Exists("minute") {
				t.Errorf("after %s: second %t, want %t; minute %t, want true", 50*time.Second, got, want, r.Exists("minute"))
			}
		}
	})
}
