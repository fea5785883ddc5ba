//! How families of frames are written down: once, as a table.

/// Structs of what a client sends: read strictly.
macro_rules! strict {
    ($($item:item)*) => {$(
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $item
    )*};
}

/// Structs of what a server sends: clients pass over fields they do not know.
macro_rules! lenient {
    ($($item:item)*) => {$(
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $item
    )*};
}

/// Bodies of frames, told apart by the frame's `type`, and the function of [`super::decode`] that reads them.
macro_rules! frames {
    (
        $(#[$doc:meta])*
        $name:ident by $read:ident {
            $( $(#[doc = $says:literal])* $variant:ident($word:literal): $body:ty, )*
        }
        $( else $(#[$other_doc:meta])* $other:ident )?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $says])* $variant($body), )*
            $( $(#[$other_doc])* $other, )?
        }

        impl $name {
            /// Every `type` there is.
            pub const TYPES: &'static [&'static str] = &[$($word),*];

            /// The frame's `type`.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $word, )*
                    $( Self::$other => stringify!($other), )?
                }
            }

            /// Reads a body by its type; `None` for an unknown one.
            pub(super) fn read_body(word: &str, body: &str) -> Option<Result<Self, $crate::protocol::decode::Wrong>> {
                match word {
                    $( $word => Some($crate::protocol::decode::$read(body).map(Self::$variant)), )*
                    _ => None,
                }
            }
        }

        #[cfg(feature = "openapi")]
        impl $crate::protocol::openapi::Family for $name {
            fn variants() -> Vec<$crate::protocol::openapi::Variant> {
                vec![$( $crate::protocol::openapi::Variant::new::<$body>($word, &[$($says),*]), )*]
            }
        }
    };
}

/// Objects told apart by their `kind`.
macro_rules! kinds {
    (
        $(#[$doc:meta])*
        $name:ident {
            $( $(#[doc = $says:literal])* $variant:ident($word:literal): $body:ty, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $says])* #[serde(rename = $word)] $variant($body), )*
            /// A kind that this version does not know. Never sent.
            #[serde(skip)]
            Unknown,
        }

        impl $name {
            /// Every `kind` there is.
            pub const KINDS: &'static [&'static str] = &[$($word),*];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                struct Tag<'a> {
                    #[serde(borrow)]
                    kind: std::borrow::Cow<'a, str>,
                }
                let whole = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                let tag: Tag<'_> = serde_json::from_str(whole.get()).map_err(serde::de::Error::custom)?;
                match &*tag.kind {
                    $( $word => serde_json::from_str(whole.get()).map(Self::$variant), )*
                    _ => Ok(Self::Unknown),
                }
                .map_err(serde::de::Error::custom)
            }
        }

        $(
            impl From<$body> for $name {
                fn from(body: $body) -> Self {
                    Self::$variant(body)
                }
            }
        )*

        #[cfg(feature = "openapi")]
        impl $crate::protocol::openapi::Family for $name {
            fn variants() -> Vec<$crate::protocol::openapi::Variant> {
                vec![$( $crate::protocol::openapi::Variant::new::<$body>($word, &[$($says),*]), )*]
            }
        }
    };
}

pub(super) use {frames, kinds, lenient, strict};
