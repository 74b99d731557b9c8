package framework

import (
	"slices"
	"sync"
	"time"
)

// Alert is something about a filter or a worker that an operator wants to know at once, such
// as that a filter keeps failing and is skipped.
type Alert struct {
	Time   time.Time `json:"time"`
	Filter string    `json:"filter"` // empty: the alert concerns the worker
	Worker int       `json:"worker"` // the worker on which it happened
	Text   string    `json:"text"`
}

// keptAlerts is how many alerts are kept.
const keptAlerts = 100

// alertList holds the last alerts, oldest first.
type alertList struct {
	mu   sync.Mutex
	last []Alert
	tell func(Alert) // calls the host program; nil: it has not set OnAlert
}

// RaiseAlert tells the host program and the admin listener about a filter, which logs the
// event itself. It may be called on any goroutine.
func (fw *Firewall) RaiseAlert(filter string, worker int, text string) {
	a := Alert{Time: time.Now(), Filter: filter, Worker: worker, Text: text}
	if fw.port != nil {
		a.Time = fw.port.Time()
	}
	l := &fw.alerts
	l.mu.Lock()
	if len(l.last) == keptAlerts {
		l.last = slices.Delete(l.last, 0, 1)
	}
	l.last = append(l.last, a)
	l.mu.Unlock()
	if l.tell != nil {
		l.tell(a)
	}
}

// Alerts returns the last 100 alerts, the oldest first.
func (fw *Firewall) Alerts() []Alert {
	fw.alerts.mu.Lock()
	defer fw.alerts.mu.Unlock()
	return append([]Alert{}, fw.alerts.last...)
}
