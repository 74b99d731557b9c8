-- Objects with methods, a class that inherits from another one, and closures.
local Account = {}
Account.__index = Account

function Account.new(owner) return setmetatable({ owner = owner, balance = 0, log = 0 }, Account) end

function Account:deposit(amount)
  self.balance = self.balance + amount
  self:note()
end

function Account:note() self.log = self.log + 1 end

local Limited = setmetatable({}, { __index = Account })
Limited.__index = Limited

function Limited.new(owner, limit)
  local self = Account.new(owner)
  self.limit = limit
  return setmetatable(self, Limited)
end

function Limited:deposit(amount)
  if self.balance + amount > self.limit then return false end
  Account.deposit(self, amount)
  return true
end

local function counter()
  local n = 0
  return function() n = n + 1 return n end
end

return function()
  local plain, limited, refused = Account.new("plain"), Limited.new("limited", 500), counter()
  local last = 0
  for i = 1, 200 do
    plain:deposit(i)
    if not limited:deposit(i) then last = refused() end
  end
  return plain.balance .. "-" .. limited.balance .. "-" .. last
end
