"""Data → plotly figures. Pure functions: no Streamlit, no files; labels and colours come from the caller."""
