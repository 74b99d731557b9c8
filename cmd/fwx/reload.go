package main

import (
	"context"
	"errors"
	"os"
	"time"

	"fwx/framework"
	"fwx/framework/strict"
)

// reloader reloads the gateway: when a signal asks for it, and when the
// configuration or a script has been saved.
type reloader struct {
	fw      *framework.Firewall
	source  *source
	asked   <-chan os.Signal
	files   *watcher
	refused string // what was wrong the last time; empty: nothing
}

func newReloader(fw *framework.Firewall, s *source, asked <-chan os.Signal, watch bool) *reloader {
	r := &reloader{fw: fw, source: s, asked: asked, files: newWatcher(s.logger)}
	r.files.enabled = watch
	return r
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	defer r.files.close()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
			_ = r.fw.Reopen() // whatever becomes of the configuration; only a filter itself is refused it
			r.look()
			r.refused = ""
			r.reload(ctx)
		case <-r.files.stirred:
			next.Reset(r.files.saw())
		case <-next.C:
			if r.look() {
				r.reload(ctx)
			}
			next.Reset(lookInterval)
		}
	}
}

// look reports whether there is something to be reloaded. After a configuration that
// was refused, what was wrong may be in any file of the directories.
func (r *reloader) look() bool {
	changed, touched := r.files.look(append(r.fw.Files(), r.source.file()))
	return changed || touched && r.refused != ""
}

func (r *reloader) reload(ctx context.Context) {
	config, err := r.source.load() //nolint:contextcheck // the demo server ends by Close
	if err == nil {
		err = r.fw.Reload(ctx, config)
	}
	switch {
	case err == nil:
		r.refused = ""
		r.files.enabled = config.Service.Watch
	case ctx.Err() != nil: // the gateway ends
	case err.Error() != r.refused:
		r.refused = err.Error()
		r.report(err)
	}
}

// report logs what is wrong, a line for each mistake.
func (r *reloader) report(err error) {
	mistakes := []error{err}
	if several, ok := errors.AsType[strict.Errors](err); ok {
		mistakes = several.Unwrap()
	}
	for _, mistake := range mistakes {
		r.source.logger.Error("not reloaded: the old configuration stays", "error", mistake)
	}
}
