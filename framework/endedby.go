package framework

// EndedBy says who has ended a connection, or a request before its response was complete.
type EndedBy uint8

// Who it may be.
const (
	// ByNobody: it goes on, or has ended as both sides wanted.
	ByNobody EndedBy = iota
	// ByClient: the client broke off, or sent what is refused.
	ByClient
	// ByServer: the server could not be reached, broke off, or sent what is refused.
	ByServer
	// ByFilter: a filter denied, closed or reset it, or failed.
	ByFilter
	// ByLimit: a time, a size or a number that the configuration bounds.
	ByLimit
	// ByGateway: the gateway itself: the service ends, its configuration was replaced, a route
	// says so, or it has failed.
	ByGateway
	// ByOperator: an operator, by the console.
	ByOperator
)

// String returns the name that logs, the console and scripts have for it.
func (b EndedBy) String() string {
	return [...]string{"nobody", "client", "server", "filter", "limit", "gateway", "operator"}[b]
}

// side returns who is on the side that a direction comes from.
func (d Direction) side() EndedBy {
	if d == Upstream {
		return ByClient
	}
	return ByServer
}
