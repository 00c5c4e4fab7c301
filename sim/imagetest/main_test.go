package imagetest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// root is the top of the tree, as seen from here.
const root = "../.."

// interrupted ends with the first signal to end: whatever waits for Docker then stops.
var interrupted context.Context

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	interrupted = ctx
	ended := make(chan int, 1)
	go func() { ended <- m.Run() }()
	var code int
	select {
	case code = <-ended:
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "interrupted: removing the containers")
		// What is being started fails soon, and is then there to be removed.
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
		}
		code = 130
	}
	stop() // a second signal is obeyed at once
	removeAll(label + "=" + owner)
	os.Exit(code)
}
