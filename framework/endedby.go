package framework

// EndedBy says who ended a connection, or a request before its response was complete.
type EndedBy uint8

// Who can have ended it.
const (
	// ByNobody: it is still open, or was ended as both sides wanted.
	ByNobody EndedBy = iota
	// ByClient: the client broke it off, or sent something that is refused.
	ByClient
	// ByServer: the server could not be reached, broke it off, or sent something that is
	// refused.
	ByServer
	// ByFilter: a filter denied, closed or reset it, or failed.
	ByFilter
	// ByLimit: it reached a limit of the configuration: a time, a size or a number.
	ByLimit
	// ByGateway: the gateway itself ended it, because the service shut down, its
	// configuration was replaced, a route says so, or the gateway failed.
	ByGateway
	// ByOperator: an operator ended it, by the console.
	ByOperator
)

// String returns the name that logs, the console and scripts use.
func (b EndedBy) String() string {
	return [...]string{"nobody", "client", "server", "filter", "limit", "gateway", "operator"}[b]
}

// side returns who is at the side that a direction comes from.
func (d Direction) side() EndedBy {
	if d == Upstream {
		return ByClient
	}
	return ByServer
}
