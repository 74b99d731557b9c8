package syntax

import (
	"slices"
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// The compiler evaluates the right side of an assignment to a local straight into the local,
// and so changes it while other operands, which stand later, still read it; "and" and
// "or" even leave the old value in it, where the result is an operand before the last. With
// several values it loses count of its registers when one of the values is a local.
// So what is assigned together goes through new locals, which live as long as the assignment.

// assignment rewrites an assignment whose operands have been rewritten.
func (m *mender) assignment(v *ast.AssignStmt) ast.Stmt {
	if len(v.Lhs) == 1 && len(v.Rhs) == 1 {
		return m.single(v)
	}
	return m.several(v)
}

// single rewrites an assignment of one value.
func (m *mender) single(v *ast.AssignStmt) ast.Stmt {
	if call, ok := v.Rhs[0].(*ast.FuncCallExpr); ok {
		call.AdjustRet = false // one value is wanted anyway, and this way it has registers of its own
	}
	t := temporaries{m: m}
	v.Lhs[0] = t.target(v.Lhs[0])
	if _, logic := v.Rhs[0].(*ast.LogicalOpExpr); logic && m.isLocal(v.Lhs[0]) {
		v.Rhs[0] = t.hold(v.Rhs[0])
	}
	return t.before(v, v)
}

// several rewrites an assignment of several values, or of more values than there are names: first all expressions
// are evaluated, from the left, and then the values are assigned, from the right. The
// last value needs no local, if each name has its own expression.
func (m *mender) several(v *ast.AssignStmt) ast.Stmt {
	t := temporaries{m: m, assigned: v.Lhs}
	targets := make([]ast.Expr, len(v.Lhs))
	for i, left := range v.Lhs {
		targets[i] = t.target(left)
	}
	values := make([]ast.Expr, len(v.Lhs))
	for i := range values {
		switch {
		case i == len(values)-1 && len(v.Rhs) == len(v.Lhs):
			values[i] = v.Rhs[i]
		case i < len(v.Rhs):
			values[i] = t.hold(v.Rhs[i])
		case givesMany(v.Rhs[len(v.Rhs)-1]):
			values[i] = t.name(v.Lhs[i])
		default:
			values[i] = at(&ast.NilExpr{}, v.Lhs[i])
		}
	}
	if len(v.Rhs) > len(v.Lhs) {
		t.values = append(t.values, v.Rhs[len(v.Lhs):]...)
	}
	stores := make([]ast.Stmt, 0, len(targets))
	for i, target := range slices.Backward(targets) {
		stores = append(stores, m.single(assign(target, target, values[i])))
	}
	return t.before(v, stores...)
}

// temporaries are the new locals of an assignment.
type temporaries struct {
	m        *mender
	assigned []ast.Expr // what is assigned to
	names    []string
	values   []ast.Expr
}

// hold has an expression evaluated into a new local, unless it is a constant.
func (t *temporaries) hold(e ast.Expr) ast.Expr {
	if _, constant := truth(e); constant {
		return e
	}
	t.values = append(t.values, e)
	return t.name(e)
}

// name makes a new local.
func (t *temporaries) name(place ast.PositionHolder) ast.Expr {
	name := "(value " + strconv.Itoa(len(t.names)+1) + ")"
	t.names = append(t.names, name)
	return ident(place, name)
}

// target returns what is assigned to, with its table and key held if they can change
// before. The compiler mistakes a constant for a register where it wants the table.
func (t *temporaries) target(left ast.Expr) ast.Expr {
	field, ok := left.(*ast.AttrGetExpr)
	if !ok {
		return left
	}
	_, constant := truth(field.Object)
	if t.assigned == nil && !constant {
		return left
	}
	held := at(&ast.AttrGetExpr{Object: field.Object, Key: field.Key}, field)
	switch {
	case constant:
		t.values = append(t.values, field.Object)
		held.Object = t.name(field.Object)
	case !t.lasting(field.Object):
		held.Object = t.hold(field.Object)
	}
	if !t.lasting(field.Key) {
		held.Key = t.hold(field.Key)
	}
	return held
}

// lasting tells whether an expression is a local that is not assigned to.
func (t *temporaries) lasting(e ast.Expr) bool {
	if !t.m.isLocal(e) {
		return false
	}
	for _, left := range t.assigned {
		if name, ok := left.(*ast.IdentExpr); ok && name.Value == e.(*ast.IdentExpr).Value {
			return false
		}
	}
	return true
}

// before returns statements behind the declaration of the new locals.
func (t *temporaries) before(place ast.Stmt, statements ...ast.Stmt) ast.Stmt {
	if len(t.values) == 0 && len(statements) == 1 {
		return statements[0]
	}
	if len(t.values) > 0 {
		declared := at(&ast.LocalAssignStmt{Names: t.names, Exprs: t.values}, place)
		statements = append([]ast.Stmt{declared}, statements...)
	}
	return block(place, statements...)
}
