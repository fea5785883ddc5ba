//! Schemas of the families of frames, for an OpenAPI document.
