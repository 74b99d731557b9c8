-- Replaces a word wherever it stands in the bodies of answers.
return {
  answer = function()
    ngx.arg[1] = ngx.arg[1]:gsub("fox", "cat")
  end,
}
