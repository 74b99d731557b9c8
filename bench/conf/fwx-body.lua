-- Replaces a word wherever it stands in the bodies of answers.
local M = {}

function M.on_response_body(_, _, _, chunk)
  return (tostring(chunk):gsub("fox", "cat"))
end

return M
