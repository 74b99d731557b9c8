package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"

	"fwx/cmd/fwx/demo"
	"fwx/filters/all"
	"fwx/framework"
)

const (
	defaultConfig = "config.toml"
	demoServer    = "demo" // an upstream names it as "builtin:demo"
)

// runGateway starts the gateway and runs it until ctx ends.
func runGateway(ctx context.Context, p program, args []string) error {
	config, err := p.config("run", args)
	if err != nil {
		return err
	}
	config.Logger = slog.New(slog.NewTextHandler(p.err, nil))
	if usesDemo(config) {
		server, err := demo.Start(config.Logger) //nolint:contextcheck // it ends by Close
		if err != nil {
			return fmt.Errorf("builtin:%s: %w", demoServer, err)
		}
		defer func() { _ = server.Close() }() // the program ends
		config.Builtin[demoServer] = server.Addr()
	}
	fw, err := framework.New(config, all.Registry())
	if err != nil {
		return err
	}
	if err := fw.Run(ctx); err != nil {
		return err
	}
	config.Logger.Info("ended")
	return nil
}

// runCheck reports what is wrong with a configuration.
func runCheck(_ context.Context, p program, args []string) error {
	config, err := p.config("check", args)
	if err != nil {
		return err
	}
	if _, err := framework.New(config, all.Registry()); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "the configuration is good: listeners %d, filters %d, upstreams %d\n",
		len(config.Listeners), len(config.Filters), len(config.Upstreams))
	return nil
}

// config reads the configuration that the options of a command name.
func (p program) config(command string, args []string) (framework.Config, error) {
	var path string
	err := p.parse(command, args, func(f *flag.FlagSet) {
		f.StringVar(&path, "c", defaultConfig, "the configuration `FILE`")
	})
	if err != nil {
		return framework.Config{}, err
	}
	config, err := framework.LoadConfig(path)
	config.Builtin = map[string]string{demoServer: ""}
	return config, err
}

// usesDemo reports whether an upstream names the demo server.
func usesDemo(config framework.Config) bool {
	return slices.ContainsFunc(config.Upstreams, func(u framework.UpstreamConfig) bool {
		return slices.Contains(u.Servers, "builtin:"+demoServer)
	})
}
