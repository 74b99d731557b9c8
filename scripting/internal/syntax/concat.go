package syntax

import "github.com/yuin/gopher-lua/ast"

// concatName is the variable that holds the function for "..", which reaches the code as a
// local variable around all of it. A script cannot spell the name.
const concatName = "(concat)"

// guarded wraps a chunk into a function that is given the function for "..", and returns the
// chunk as a function.
func guarded(chunk []ast.Stmt) []ast.Stmt {
	variable := &ast.LocalAssignStmt{Names: []string{concatName}, Exprs: []ast.Expr{&ast.Comma3Expr{}}}
	body := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}, Stmts: chunk}
	if n := len(chunk); n > 0 {
		body.SetLastLine(chunk[n-1].LastLine())
	}
	return []ast.Stmt{variable, &ast.ReturnStmt{Exprs: []ast.Expr{body}}}
}

// concatenation rewrites "a .. b .. c", which associates to the right. If concatenations are
// guarded it becomes one call, of all operands.
func (m *mender) concatenation(v *ast.StringConcatOpExpr) ast.Expr {
	if !m.guards {
		m.replace(&v.Lhs)
		m.replace(&v.Rhs)
		return v
	}
	call := at(&ast.FuncCallExpr{Func: ident(v, concatName), AdjustRet: true}, v)
	for more := true; more; {
		call.Args = append(call.Args, v.Lhs)
		var next *ast.StringConcatOpExpr
		if next, more = v.Rhs.(*ast.StringConcatOpExpr); more {
			v = next
		}
	}
	call.Args = append(call.Args, v.Rhs)
	m.replace(&call.Func)
	m.list(call.Args)
	for _, arg := range call.Args {
		adjust(arg) // beside ".." each gives one value
	}
	return call
}
