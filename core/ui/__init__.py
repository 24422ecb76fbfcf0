"""The only room of core that knows Streamlit: language, shared resources, components."""
