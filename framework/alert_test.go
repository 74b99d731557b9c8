package framework_test

import (
	"fmt"
	"testing"

	"fwx/framework"
)

// TestAlerts tells all alerts to the host program and keeps the last of them.
func TestAlerts(t *testing.T) {
	var told []framework.Alert
	fw, err := framework.New(framework.Config{
		Upstreams: []framework.UpstreamConfig{{Name: "site", Servers: []string{"127.0.0.1:1"}}},
		Listeners: []framework.ListenerConfig{{Name: "web", Listen: "127.0.0.1:0", Upstream: "site"}},
		OnAlert:   func(a framework.Alert) { told = append(told, a) },
	}, framework.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if got := fw.Alerts(); got == nil || len(got) != 0 {
		t.Errorf("alerts before the first: %v", got)
	}
	const all, kept = 150, 100
	for i := range all {
		fw.RaiseAlert("audit", 1, fmt.Sprint("alert ", i))
	}
	got := fw.Alerts()
	if len(told) != all || len(got) != kept {
		t.Fatalf("%d told, %d kept", len(told), len(got))
	}
	for i, a := range got {
		if want := told[i+all-kept]; a != want || a.Filter != "audit" || a.Worker != 1 || a.Text != fmt.Sprint("alert ", i+all-kept) || a.Time.IsZero() {
			t.Errorf("alert %d is %+v, told %+v", i, a, want)
		}
	}
}
