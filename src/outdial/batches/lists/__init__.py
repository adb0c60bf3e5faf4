"""Lists of people as they come from spreadsheets and scripts: CSV, XLSX and JSON lines, with all their damage."""
