//! The module applied to an emulator of AWS.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tool::{Copy, Ran, Tool};

/// What the emulator (moto) needs, in a file that overrides the module's own. The module itself has nothing for tests:
/// `AWS_ENDPOINT_URL` points the provider elsewhere.
///
/// - A bucket's name is no host name here.
/// - A provider of a caller's may have default tags, so this has.
/// - The tags of a launch template come back as `tag_specifications` of it, which EC2 does not do.
const FOR_THE_EMULATOR: &str = "
provider \"aws\" {
  s3_use_path_style = true
  default_tags {
    tags = { Owner = \"platform\" }
  }
}
resource \"aws_launch_template\" \"daemon\" {
  lifecycle {
    ignore_changes = [tag_specifications]
  }
}
";

/// What a person would write in terraform.tfvars. The package is not one: nothing installs it here.
const VARIABLES: [(&str, &str); 3] = [
    ("TF_VAR_alert_emails", r#"["ops@example.com", "night@example.com"]"#),
    ("TF_VAR_package_file", "tests/testdata/api-health-0.0.0-1.aarch64.rpm"),
    ("TF_VAR_deletion_protection", "false"),
];

/// A deployment, and the folder that has its state.
pub(super) struct Deployment {
    copy: Copy,
}

impl Deployment {
    /// Nothing is applied yet.
    pub(super) fn new(tool: &'static Tool, endpoint: &str) -> Deployment {
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        environment.extend(VARIABLES);
        let copy = Copy::new(tool, &environment);
        copy.write("emulator_override.tf", FOR_THE_EMULATOR);
        Deployment { copy }
    }

    /// `terraform apply`, with variables that stay for what comes after.
    pub(super) fn apply(&self, variables: &[(&str, &str)]) {
        self.apply_only(&[], variables);
    }

    /// `terraform apply` of these resources, or of all if there are none.
    pub(super) fn apply_only(&self, resources: &[&str], variables: &[(&str, &str)]) {
        let variables: serde_json::Map<String, Value> =
            variables.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
        self.copy.write("test.auto.tfvars.json", &Value::Object(variables).to_string());
        let targets: Vec<String> = resources.iter().map(|resource| format!("-target={resource}")).collect();
        let mut args = vec!["apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=30"];
        args.extend(targets.iter().map(String::as_str));
        let applied = self.copy.run(&args);
        assert!(applied.success, "{}", applied.text);
    }

    /// `terraform plan`: exit code 0 if nothing is left to do, 2 if something is.
    pub(super) fn plan(&self) -> Ran {
        self.copy.run(&["plan", "-detailed-exitcode", "-input=false", "-no-color", "-parallelism=30"])
    }

    /// `terraform destroy`.
    pub(super) fn destroy(&self) -> Ran {
        self.copy.run(&["destroy", "-auto-approve", "-refresh=false", "-input=false", "-no-color", "-parallelism=30"])
    }

    /// What there is now. Takes seconds: the provider must explain its schemas.
    pub(super) fn state(&self) -> State {
        let shown = self.copy.run(&["show", "-json"]);
        assert!(shown.success, "{}", shown.text);
        State(serde_json::from_str(&shown.text).unwrap())
    }
}

/// A deployment at one moment.
pub(super) struct State(Value);

impl State {
    /// The outputs: an object of name and value.
    pub(super) fn outputs(&self) -> Value {
        let outputs = self.0["values"]["outputs"].as_object().expect("outputs");
        outputs.iter().map(|(name, output)| (name.clone(), output["value"].clone())).collect()
    }

    /// What there is, as `type.name`.
    pub(super) fn resources(&self) -> BTreeSet<String> {
        self.made().map(|made| format!("{}.{}", text(&made["type"]), text(&made["name"]))).collect()
    }

    /// What the instance runs at its first boot.
    pub(super) fn user_data(&self) -> String {
        let template = self.made().find(|made| made["type"] == "aws_launch_template").expect("a launch template");
        String::from_utf8(base64(text(&template["values"]["user_data"]))).unwrap()
    }

    /// The tags of the group itself: an object of key and value.
    pub(super) fn group_tags(&self) -> Value {
        let group = self.made().find(|made| made["type"] == "aws_autoscaling_group").expect("a group");
        let tags = group["values"]["tag"].as_array().expect("tags");
        tags.iter().map(|tag| (text(&tag["key"]).to_owned(), tag["value"].clone())).collect()
    }

    fn made(&self) -> impl Iterator<Item = &Value> {
        let all = self.0["values"]["root_module"]["resources"].as_array();
        all.into_iter().flatten().filter(|made| made["mode"] == "managed")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What that base64 stands for.
fn base64(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut child = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}
