"""One task in a process of its own: imports, connects, asks, and is gone."""

import decimal
import email.message
import http.client
import json
import sqlite3
import sys
import xml.etree.ElementTree

connection = sqlite3.connect(sys.argv[1])
row = connection.execute("SELECT sum(price) FROM items WHERE kind = ?", (int(sys.argv[2]) % 100,))
print(json.dumps({"kind": int(sys.argv[2]) % 100, "sum": str(decimal.Decimal(row.fetchone()[0]))}))
