//! The seam behind which a TLS library stands; smtpd and smtp know only this trait.
