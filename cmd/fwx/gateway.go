package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"fwx/cmd/fwx/demo"
	"fwx/filters/all"
	"fwx/framework"
	"fwx/framework/admin"
	"fwx/framework/logqueue"
	"fwx/framework/store"
	"fwx/framework/store/redisstore"
	"fwx/framework/wire/coding/brzstd"
	"fwx/scripting"
)

const (
	defaultConfig = "config.toml"
	demoServer    = "demo" // an upstream names it as "builtin:demo"
)

// flushLimit is how long the reader of the log has at the end to take what is left.
const flushLimit = 2 * time.Second

// runGateway runs the gateway, with a log that nobody has to read: a pipe that is full or
// broken stops nothing.
func runGateway(ctx context.Context, p program, args []string) error {
	signal.Ignore(syscall.SIGPIPE) // else the write to a broken pipe would end the program
	defer signal.Reset(syscall.SIGPIPE)
	log := logqueue.New(p.err) //nolint:contextcheck // what goes on behind the end of ctx is the end of the gateway
	p.err = log
	e := &ending{}
	err := e.run(ctx, func() error { return p.serve(ctx, args, slog.New(log.Handler()), e) })
	if p.exitCode(err) == exitError {
		err = errReported
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	_ = log.Close(ctx) // there is nobody to be told
	return err
}

// serve starts the gateway and runs it until ctx ends. Until then it is
// reloaded when it is asked to, or when its files are saved.
func (p program) serve(ctx context.Context, args []string, logger *slog.Logger, e *ending) error {
	asked, ignore := reloadSignals()
	defer ignore()
	path, err := p.configPath("run", args)
	if err != nil {
		return err
	}
	s := &source{path: path, logger: logger}
	defer s.close()
	config, err := s.load() //nolint:contextcheck // the demo server ends by Close
	if err != nil {
		return err
	}
	config.OnStatus = p.status
	fw, err := framework.New(config, all.Registry())
	if err != nil {
		return err
	}
	e.fw.Store(fw)
	if fw.Admin().Listen != "" {
		server, err := admin.Start(ctx, fw, func(ctx context.Context, source string) (string, error) { return scripting.Evaluate(ctx, fw, source) })
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }() //nolint:contextcheck // the program ends
	}
	if err := fw.Start(ctx); err != nil {
		return err
	}
	newReloader(fw, s, asked, config.Service.Watch).run(ctx)
	if err := fw.Stop(); err != nil { //nolint:contextcheck // ctx has ended
		return err
	}
	s.logger.Info("ended")
	return nil
}

// source is where the gateway's configuration comes from.
type source struct {
	path   string
	read   fileSum // what of the file was read last
	logger *slog.Logger
	demo   *demo.Server // runs since an upstream has named it
}

// file returns the configuration file.
func (s *source) file() framework.File { return framework.File{Path: s.path, Sum: s.read} }

// load reads the configuration.
func (s *source) load() (framework.Config, error) {
	s.read = sumOf(s.path)
	config, err := readConfig(s.path)
	if err != nil {
		return config, err
	}
	config.Logger = s.logger
	if s.demo == nil && usesDemo(config) {
		if s.demo, err = demo.Start(s.logger); err != nil {
			return config, fmt.Errorf("builtin:%s: %w", demoServer, err)
		}
	}
	if s.demo != nil {
		config.Builtin[demoServer] = s.demo.Addr()
	}
	return config, nil
}

func (s *source) close() {
	if s.demo != nil {
		_ = s.demo.Close() // the program ends
	}
}

// runCheck reports what is wrong with a configuration.
func runCheck(ctx context.Context, p program, args []string) error {
	path, err := p.configPath("check", args)
	if err != nil {
		return err
	}
	config, err := readConfig(path)
	if err != nil {
		return err
	}
	fw, err := framework.New(config, all.Registry())
	if err != nil {
		return err
	}
	if err := fw.Check(ctx); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "the configuration is good: listeners %d, filters %d, upstreams %d\n",
		len(config.Listeners), len(config.Filters), len(config.Upstreams))
	return nil
}

// configPath returns the path of the configuration that the options of a command name.
func (p program) configPath(command string, args []string) (path string, err error) {
	err = p.parse(command, args, func(f *flag.FlagSet) {
		f.StringVar(&path, "c", defaultConfig, "the configuration `FILE`")
	})
	return path, err
}

func readConfig(path string) (framework.Config, error) {
	config, err := framework.LoadConfig(path)
	config.Builtin = map[string]string{demoServer: ""}
	config.StoreKinds = []store.Kind{redisstore.Kind()}
	config.Codings = brzstd.Codings()
	return config, err
}

// usesDemo reports whether an upstream names the demo server.
func usesDemo(config framework.Config) bool {
	return slices.ContainsFunc(config.Upstreams, func(u framework.UpstreamConfig) bool {
		return slices.Contains(u.Servers, "builtin:"+demoServer)
	})
}
