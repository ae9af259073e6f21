"""Did the app get worse in general? Suite checks over paired cases."""
