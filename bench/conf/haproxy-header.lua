-- Reads one header of each request and adds one.
core.register_action("bench", { "http-req" }, function(txn)
  txn.http:req_add_header("X-Seen", txn.sf:req_fhdr("host"))
end)
