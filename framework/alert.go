package framework

import (
	"slices"
	"sync"
	"time"
)

// Alert is something about a filter, or about a worker, that an operator wants to be told
// of when it happens, such as that a filter keeps failing and is left out.
type Alert struct {
	Time   time.Time `json:"time"`
	Filter string    `json:"filter"` // empty: it is about the worker
	Worker int       `json:"worker"` // on which it happened
	Text   string    `json:"text"`
}

// keptAlerts is how many alerts are kept for those who ask later.
const keptAlerts = 100

// alertList is the last alerts, the oldest first.
type alertList struct {
	mu   sync.Mutex
	last []Alert
	tell func(Alert) // the host program; nil: it does not want to know
}

// RaiseAlert tells the host program and the admin listener of something about a filter,
// which the log is told by the filter itself. It may be called on any goroutine.
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
