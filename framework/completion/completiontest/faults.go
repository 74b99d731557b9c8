package completiontest

var faultRows = []row{}
