-- Replaces a word in answers.
return {
  on_data = function(conn, chunk, direction)
    if direction == "downstream" then
      return (tostring(chunk):gsub("fox", "cat"))
    end
  end,
}
