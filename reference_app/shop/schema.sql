-- Prices and amounts are in pounds, weights in kilograms, days are ISO dates. Names and e-mail addresses are
-- of invented people; no tool may read them.
CREATE TABLE categories (category_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE products (
  product_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  category_id INTEGER NOT NULL REFERENCES categories, price REAL NOT NULL, weight REAL NOT NULL,
  colour TEXT NOT NULL, released TEXT NOT NULL
);
CREATE TABLE stores (store_id INTEGER PRIMARY KEY, city TEXT NOT NULL UNIQUE, opened TEXT NOT NULL);
CREATE TABLE stock (
  product_id INTEGER NOT NULL REFERENCES products, store_id INTEGER NOT NULL REFERENCES stores,
  quantity INTEGER NOT NULL, PRIMARY KEY (product_id, store_id)
);
CREATE TABLE customers (
  customer_id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, country TEXT NOT NULL,
  joined TEXT NOT NULL, level TEXT NOT NULL
);
CREATE TABLE orders (
  order_id TEXT PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, status TEXT NOT NULL,
  ordered TEXT NOT NULL, expected TEXT
);
CREATE TABLE order_items (
  order_id TEXT NOT NULL REFERENCES orders, line INTEGER NOT NULL,
  product_id INTEGER REFERENCES products, description TEXT NOT NULL,
  quantity INTEGER NOT NULL, price REAL NOT NULL, PRIMARY KEY (order_id, line)
);
CREATE TABLE shipments (
  order_id TEXT PRIMARY KEY REFERENCES orders, carrier TEXT NOT NULL, tracking TEXT,
  sent TEXT NOT NULL, delivered TEXT
);
CREATE TABLE points (
  entry_id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers,
  order_id TEXT REFERENCES orders, points INTEGER NOT NULL, day TEXT NOT NULL
);
CREATE TABLE refunds (
  refund_id INTEGER PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders, reason TEXT NOT NULL,
  amount REAL NOT NULL, paid TEXT
);
CREATE TABLE reviews (
  review_id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES products, rating INTEGER NOT NULL,
  day TEXT NOT NULL
);

-- What anybody may know, and nothing that tells who ordered.
CREATE VIEW open_products AS
SELECT p.name, c.name AS category, price, weight AS weight_kg, colour, released,
  (SELECT round(avg(rating), 2) FROM reviews r WHERE r.product_id = p.product_id) AS rating,
  (SELECT count(*) FROM reviews r WHERE r.product_id = p.product_id) AS reviews,
  (SELECT sum(quantity) FROM stock s WHERE s.product_id = p.product_id) AS stock
FROM products p JOIN categories c USING (category_id) ORDER BY product_id;
CREATE VIEW open_stock AS
SELECT p.name AS product, city, quantity
FROM stock JOIN products p USING (product_id) JOIN stores USING (store_id) ORDER BY product_id, store_id;
CREATE VIEW open_orders AS
SELECT order_id, status, ordered, expected, sent, delivered, carrier,
  (SELECT sum(quantity * price) FROM order_items i WHERE i.order_id = o.order_id) AS total
FROM orders o LEFT JOIN shipments USING (order_id);
CREATE VIEW open_order_items AS
SELECT order_id, coalesce(p.name, description) AS product, quantity, i.price
FROM order_items i LEFT JOIN products p USING (product_id);
CREATE VIEW open_reviews AS
SELECT p.name AS product, rating, day FROM reviews JOIN products p USING (product_id);
CREATE VIEW open_refunds AS SELECT order_id, reason, amount, paid FROM refunds;
