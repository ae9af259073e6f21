"""What a question wants of the database: slots, the query made from them, and how both are said."""
