package framework

import (
	"strconv"

	"fwx/framework/metrics"
	"fwx/framework/wire/websocket"
)

const (
	metricRequests    = "fwx_http_requests_total"
	metricSeconds     = "fwx_http_request_seconds"
	metricActive      = "fwx_http_requests_active"
	metricSpooled     = "fwx_http_spooled_bytes"
	metricServers     = "fwx_http_server_connections_total"
	metricMemory      = "fwx_http_body_memory_refused_total"
	metricCutOff      = "fwx_http_cut_off_total"
	metricUndecodable = "fwx_http_undecodable_bodies_total"
	metricMessages    = "fwx_websocket_messages_total"
	metricCloses      = "fwx_websocket_closes_total"
)

// httpClasses name the classes of a status, by its first digit.
var httpClasses = [6]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// undecodable lists why bodies could not be decoded.
var undecodable = [...]string{"too_long", "damaged"}

// closeCodes are the codes of close frames that are counted separately.
var closeCodes = [...]int{websocket.CodeProtocolError, websocket.CodeInvalidData, websocket.CodePolicy, websocket.CodeTooBig, websocket.CodeInternalError, websocket.CodeTryAgain, 0}

// httpBounds are the bounds of the histogram of durations, in seconds.
var httpBounds = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60}

// makeHTTPMetrics makes the metrics of a listener with protocol "http".
func (l *listener) makeHTTPMetrics(r *metrics.Registry) (err error) {
	name := metrics.Label{Name: "listener", Value: l.config.Name}
	for i, class := range httpClasses {
		label := metrics.Label{Name: "status", Value: class}
		if l.httpRequests[i], err = r.Counter(metricRequests, "Requests that are over, by the class of their status.", name, label); err != nil {
			return err
		}
	}
	for i, reused := range []string{"no", "yes"} {
		label := metrics.Label{Name: "reused", Value: reused}
		if l.httpServers[i], err = r.Counter(metricServers, "Connections to servers that requests were given.", name, label); err != nil {
			return err
		}
	}
	if l.httpSeconds, err = r.Histogram(metricSeconds, "How long requests took, from their first byte to the end of the response.", httpBounds, name); err != nil {
		return err
	}
	if l.httpCutOff, err = r.Counter(metricCutOff, "Clients that were cut off because they took too little of what was sent to them.", name); err != nil {
		return err
	}
	if l.httpMemoryRefused, err = r.Counter(metricMemory, "Exchanges that were refused because body_memory was used up.", name); err != nil {
		return err
	}
	for i, reason := range undecodable {
		label := metrics.Label{Name: "reason", Value: reason}
		if l.httpUndecodable[i], err = r.Counter(metricUndecodable, "Bodies that filters wanted decoded and that could not be.", name, label); err != nil {
			return err
		}
	}
	if err = l.makeMessageMetrics(r, name); err != nil {
		return err
	}
	if l.httpActive, err = r.Gauge(metricActive, "Requests that are being carried out.", name); err != nil {
		return err
	}
	l.httpSpooled, err = r.Gauge(metricSpooled, "Bytes of requests' bodies that are on the disk.", name)
	return err
}

// makeMessageMetrics makes the metrics of WebSockets whose messages filters see.
func (l *listener) makeMessageMetrics(r *metrics.Registry, name metrics.Label) (err error) {
	for dir := range l.messages {
		label := metrics.Label{Name: "direction", Value: Direction(dir).String()}
		if l.messages[dir], err = r.Counter(metricMessages, "Messages of WebSockets that filters have seen.", name, label); err != nil {
			return err
		}
	}
	for i, code := range closeCodes {
		label := metrics.Label{Name: "code", Value: strconv.Itoa(code)}
		if code == 0 {
			label.Value = "other"
		}
		if l.webSocketCloses[i], err = r.Counter(metricCloses, "WebSockets that the gateway has closed, by the code.", name, label); err != nil {
			return err
		}
	}
	return nil
}
