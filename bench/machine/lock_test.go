package machine

import (
	"context"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), file, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Lock(ctx, file, cancel); err != context.Canceled {
		t.Errorf("a second one: %v, want it to wait until %v", err, context.Canceled)
	}
	unlock()
	unlock, err = Lock(t.Context(), file, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
