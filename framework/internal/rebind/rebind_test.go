package rebind

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestTry(t *testing.T) {
	inUse := fmt.Errorf("listen: %w", syscall.EADDRINUSE)
	denied := errors.New("denied")
	for _, tt := range []struct {
		name   string
		free   time.Duration // when another error than inUse comes; 0: at once
		last   error         // that error
		cancel time.Duration // when the caller gives up; 0: never
		want   error
		took   time.Duration // at the most
		logs   bool
	}{
		{"free", 0, nil, 0, nil, 0, false},
		{"another error", 0, denied, 0, denied, 0, false},
		{"in use for a moment", 400 * time.Millisecond, nil, 0, nil, 450 * time.Millisecond, true},
		{"in use, then another error", 400 * time.Millisecond, denied, 0, denied, 450 * time.Millisecond, true},
		{"in use for good", time.Hour, nil, 0, syscall.EADDRINUSE, patience, true},
		{"the caller gives up", time.Hour, nil, 200 * time.Millisecond, syscall.EADDRINUSE, 200 * time.Millisecond, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.cancel > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.cancel)
					defer cancel()
				}
				var log strings.Builder
				began := time.Now()
				err := Try(ctx, slog.New(slog.NewTextHandler(&log, nil)), "127.0.0.1:80", func() error {
					if time.Since(began) < tt.free {
						return inUse
					}
					return tt.last
				})
				if took := time.Since(began); !errors.Is(err, tt.want) || took > tt.took || took < min(tt.free, tt.took) {
					t.Errorf("after %v: %v", took, err)
				}
				if logs := strings.Contains(log.String(), "127.0.0.1:80"); logs != tt.logs {
					t.Errorf("the log says: %s", log.String())
				}
			})
		})
	}
}
