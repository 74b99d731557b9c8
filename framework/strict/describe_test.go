package strict_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/strict"
)

func TestDescribe(t *testing.T) {
	defaults := struct {
		Path    string        `toml:"path,required" doc:"what to read"`
		Wait    time.Duration `toml:"wait"`
		Ignored int
		Allow   struct {
			Read []string `toml:"read"`
		} `toml:"allow"`
		Rest strict.Table `toml:"config"`
		Self strict.Table `toml:"."`
	}{Wait: time.Second}
	want := []strict.Setting{
		{Key: "path", Type: "a string", Required: true, Doc: "what to read"},
		{Key: "wait", Type: `a duration such as "10s"`, Default: "1s"},
		{Key: "allow.read", Type: "an array of strings"},
		{Key: "config", Type: "a table"},
	}
	if diff := cmp.Diff(want, strict.Describe(&defaults)); diff != "" {
		t.Error(diff)
	}
}
