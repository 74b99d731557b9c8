package framework

import (
	"bytes"
	"encoding/json"
	"html"
	"strconv"

	"fwx/framework/wire/http1"
)

// errorPage returns an error page for a client that sent Accept, and its media type.
func errorPage(accept []byte, status int, id string) (page []byte, kind string) {
	text := http1.StatusText(status)
	if prefersJSON(accept) {
		page, _ = json.Marshal(struct { // of strings and numbers
			Status int    `json:"status"`
			Error  string `json:"error"`
			ID     string `json:"id"`
		}{status, text, id})
		return append(page, '\n'), "application/json"
	}
	code, text := strconv.Itoa(status), html.EscapeString(text)
	return []byte("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>" + code + " " + text + "</title></head>\n" +
		"<body><h1>" + code + " " + text + "</h1><p>Request " + html.EscapeString(id) + "</p></body>\n</html>\n"), "text/html; charset=utf-8"
}

// prefersJSON reports whether an Accept field prefers JSON to HTML (RFC 9110, 12.5.1), or
// weighs them the same and names JSON first.
func prefersJSON(accept []byte) bool {
	best, prefers := 0.0, false
	for part := range bytes.SplitSeq(accept, []byte(",")) {
		kind, parameters, _ := bytes.Cut(part, []byte(";"))
		isJSON := bytes.Contains(kind, []byte("json"))
		if !isJSON && !bytes.Contains(kind, []byte("text/html")) {
			continue
		}
		if q := quality(parameters); q > best {
			best, prefers = q, isJSON
		}
	}
	return prefers
}

// quality returns the weight among the parameters of a media range, 1 without one.
func quality(parameters []byte) float64 {
	for parameter := range bytes.SplitSeq(parameters, []byte(";")) {
		name, value, _ := bytes.Cut(parameter, []byte("="))
		if bytes.EqualFold(bytes.TrimSpace(name), []byte("q")) {
			q, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}

// fail answers the request with an error page. Once the response has begun it is broken off
// instead.
func (x *Exchange) fail(status int, by EndedBy, reason string) {
	if x.reason == "" {
		x.by, x.reason = by, reason
	}
	if x.responseBegun() {
		x.breakResponse(by, reason)
		return
	}
	page, kind := errorPage(x.request.Get("accept"), status, string(x.id[:]))
	x.respond(status, []Field{{"Content-Type", kind}, {"Cache-Control", "no-store"}}, page)
}

// recoverPanic is deferred in completion handlers: a panic in the gateway's own code ends this
// exchange, which may be nil, and no other.
func (x *Exchange) recoverPanic() {
	r := recover()
	if r == nil {
		return
	}
	if x == nil {
		panic(r)
	}
	h := x.h
	h.c.panicked(protocolHTTP, r)
	defer func() {
		if recover() != nil { // nothing more can be sent
			h.c.end(true)
		}
	}()
	h.taking = false
	if x := h.x; x != nil {
		x.keepAlive = false
		x.fail(502, ByGateway, "the gateway panicked")
	}
	h.proceed()
}

// Field is a field of a message.
type Field struct{ Name, Value string }

// respond answers the request instead of the server.
func (x *Exchange) respond(status int, fields []Field, body []byte) {
	x.makeAnswer(status, fields)
	x.sendAnswer(int64(len(body)))
	if !x.contentless() {
		x.bytesDown += int64(len(body))
		x.h.write(body)
	}
	x.finish()
}

// makeAnswer makes the head of a response that the gateway sends itself.
func (x *Exchange) makeAnswer(status int, fields []Field) {
	x.dropServer()
	x.downGathered.limit = 0 // the body is not gathered
	x.response.Make(status)
	for _, f := range fields {
		x.response.Add(f.Name, f.Value)
	}
	if x.route != nil {
		applyChanges(&x.response.Header, x.route.response)
	}
}

// sendAnswer appends the head to the bytes for the client, given the length of the content.
func (x *Exchange) sendAnswer(length int64) {
	x.discardRequest()
	if x.response.Status() == 304 {
		length = unknownLength // the length of the client's copy is unknown
	}
	x.frameResponse(length)
	x.responseState = responseContent
	x.writeHead()
}

// discardRequest gives up a request that is answered without the server. The gateway does not
// wait for the rest of its body: the connection is closed after the response.
func (x *Exchange) discardRequest() {
	x.committed = true
	if x.requestBody.Done() && x.requestState > requestHead {
		x.requestState = requestComplete
	} else {
		x.requestState = min(x.requestState, requestHeld)
		x.keepAlive = false
	}
}
