//! Settings that cannot work.

use cms_edge::fetch::{SetupError, Upstream};
use http::Uri;

use crate::stage::Stage;

#[test]
fn settings_that_cannot_work_are_refused_in_a_sentence() {
    let server: Uri = "http://cms:8000".parse().unwrap();
    let mut no_place = Stage::new(std::slice::from_ref(&server));
    no_place.settings.concurrency = 0;
    let mut bad_ca = Stage::new(&["https://cms".parse().unwrap()]);
    bad_ca.settings.ca = Some(vec![b"junk".to_vec().into()]);
    let mut no_ca = Stage::new(&["https://cms".parse().unwrap()]);
    no_ca.settings.ca = Some(Vec::new());
    let with_path = Stage::new(&[server, "http://cms:8000/api".parse().unwrap()]);
    for (stage, sentence) in [
        (Stage::new(&[]), "the upstream has no server"),
        (no_place, "the concurrency of an upstream is at least 1"),
        (bad_ca, "a certificate given as a root cannot be used"),
        (
            no_ca,
            "there are no root certificates to check the server's certificate with",
        ),
        (
            with_path,
            "`http://cms:8000/api` is not a server: write http://host:port, https://host:port or \
             unix:/absolute/path",
        ),
    ] {
        let made = Upstream::new("cms", stage.settings, stage.metrics);
        let error: SetupError = made.err().unwrap();
        assert_eq!(error.to_string(), sentence);
    }
}
