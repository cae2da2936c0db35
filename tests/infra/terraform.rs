//! The Terraform module: validated, tested with a mocked provider, and applied against an emulator.

mod deployment;
mod tool;
mod user_data;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::skip;
use super::support::{moto::Moto, tools};
use deployment::Deployment;
use tool::{Copy, MODULE};

/// What a deployment is told by its module.
#[allow(dead_code, reason = "for the tests of the role's policy")]
pub(crate) struct Outputs {
    values: Value,
    /// Its state lives as long as this.
    _deployment: Deployment,
}

impl Outputs {
    /// An output that is a text.
    #[allow(dead_code, reason = "for the tests of the role's policy")]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values[name].as_str().unwrap_or_else(|| panic!("no text {name} in {}", self.values))
    }
}

/// Applies the module, as it stands in the tree, to an emulator of AWS at `endpoint` in `eu-central-1`, whose credentials
/// are `test` and `test`. Takes about 20 s, most of which the provider waits.
#[allow(dead_code, reason = "for the tests of the role's policy")]
pub(crate) fn applied(endpoint: &str) -> Result<Outputs, skip::Because> {
    let deployment = Deployment::new(tool::find()?, endpoint);
    deployment.apply(&[]);
    Ok(Outputs { values: deployment.state().outputs(), _deployment: deployment })
}

/// Every resource of the module. One more is a decision: it belongs in this list, and, where it opens or allows something,
/// in a test of its own.
const RESOURCES: &[&str] = &[
    "aws_autoscaling_group.daemon",
    "aws_dynamodb_table.configs",
    "aws_dynamodb_table.history",
    "aws_dynamodb_table.states",
    "aws_iam_instance_profile.daemon",
    "aws_iam_policy.operator",
    "aws_iam_role.daemon",
    "aws_iam_role_policy.daemon",
    "aws_iam_role_policy.session_manager",
    "aws_launch_template.daemon",
    "aws_s3_bucket.package",
    "aws_s3_bucket_public_access_block.package",
    "aws_s3_bucket_server_side_encryption_configuration.package",
    "aws_s3_bucket_versioning.package",
    "aws_s3_object.package",
    "aws_security_group.daemon",
    "aws_sns_topic.alerts",
    "aws_sns_topic_policy.alerts",
    "aws_sns_topic_subscription.email",
    "aws_vpc_security_group_egress_rule.ipv4",
    "aws_vpc_security_group_egress_rule.ipv6",
];

/// Faults in the module, and what the native tests must say to each. Those of one group are planted together, since each
/// has a message of its own.
struct Planted {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    said: &'static str,
}

const PLANTED: [&[Planted]; 2] = [
    &[
        Planted {
            file: "ec2.tf",
            from: "http_tokens                 = \"required\"",
            to: "http_tokens = \"optional\"",
            said: "IMDSv2 alone, one hop.",
        },
        Planted {
            file: "iam.tf",
            from: "\"dynamodb:DeleteItem\", \"dynamodb:DescribeTable\"]\n          Resource = aws_dynamodb_table.states.arn",
            to: "\"dynamodb:DeleteItem\", \"dynamodb:DescribeTable\"]\n          Resource = \"*\"",
            said: "The daemon may do just this.",
        },
        Planted {
            file: "iam.tf",
            from: "Action   = [\"s3:GetObject\"]",
            to: "Action   = [\"s3:GetObject\", \"s3:PutObject\"]",
            said: "The role may fetch the package, and nothing beside it.",
        },
        Planted {
            file: "ec2.tf",
            from: "  tags        = merge(local.tags, { Name = \"${var.name}-daemon\" })\n}",
            to: "  tags        = merge(local.tags, { Name = \"${var.name}-daemon\" })\n  ingress {\n    from_port   = 22\n    to_port     = 22\n    protocol    = \"tcp\"\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }\n}",
            said: "Nothing comes in, and there is no key for it.",
        },
        Planted {
            file: "ec2.tf",
            from: "encrypted             = true",
            to: "encrypted = false",
            said: "An encrypted gp3 volume.",
        },
        Planted {
            file: "sns.tf",
            from: "ArnNotEquals",
            to: "ArnEquals",
            said: "Only the role publishes, and only over TLS.",
        },
        Planted {
            file: "package.tf",
            from: "block_public_policy     = true",
            to: "block_public_policy = false",
            said: "The bucket is private.",
        },
    ],
    &[
        Planted {
            file: "iam.tf",
            from: "[\"dynamodb:Scan\", \"dynamodb:BatchGetItem\", \"dynamodb:DescribeTable\"]\n          Resource = aws_dynamodb_table.configs.arn",
            to: "[\"dynamodb:Scan\", \"dynamodb:BatchGetItem\", \"dynamodb:PutItem\"]\n          Resource = aws_dynamodb_table.configs.arn",
            said: "The daemon may do just this.",
        },
        Planted {
            file: "iam.tf",
            from: "[\"api-health:assignment\"]",
            to: "[\"api-health:assignment\", \"shop\"]",
            said: "Of states, an operator writes one record alone.",
        },
        Planted {
            file: "ec2.tf",
            from: "http_put_response_hop_limit = 1",
            to: "http_put_response_hop_limit = 2",
            said: "IMDSv2 alone, one hop.",
        },
        Planted {
            file: "dynamodb.tf",
            from: "  point_in_time_recovery {\n    enabled = true\n  }\n\n  server_side_encryption",
            to: "  server_side_encryption",
            said: "On demand, point-in-time recovery, encryption and deletion protection, on all.",
        },
        Planted {
            file: "dynamodb.tf",
            from: "attribute_name = \"expires_at\"",
            to: "attribute_name = \"kept_until\"",
            said: "What expired is deleted from history.",
        },
        Planted {
            file: "sns.tf",
            from: "  kms_master_key_id = \"alias/aws/sns\"\n",
            to: "",
            said: "Encrypted, and standard, which e-mail needs.",
        },
        Planted {
            file: "ec2.tf",
            from: "tags          = merge(local.all_tags,",
            to: "tags          = merge(local.tags,",
            said: "The instance, its volume and its interface have the provider's default tags too; the module's win.",
        },
        Planted {
            file: "ec2.tf",
            from: "    for_each = local.all_tags",
            to: "    for_each = local.tags",
            said: "The group has the provider's default tags too.",
        },
        Planted {
            file: "ec2.tf",
            from: "min_healthy_percentage = var.instances == 1 ? 0 : 100",
            to: "min_healthy_percentage = var.instances == 1 ? 0 : 50",
            said: "A change replaces one after the other, each new one before an old one ends.",
        },
        Planted {
            file: "ec2.tf",
            from: "local.has_fleet ? replace",
            to: "!local.has_fleet ? replace",
            said: "How many are expected stands in the table that is there.",
        },
        Planted {
            file: "templates/next-steps.txt.tftpl",
            from: "Instances[?LifecycleState=='InService'] | [0]",
            to: "Instances[0]",
            said: "The shell opens on the instance that is in service.",
        },
    ],
];

/// The resources that the module's files declare, as `type.name`.
fn declared(texts: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    texts
        .into_iter()
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.strip_prefix("resource \"")?.strip_suffix("\" {")?.split_once("\" \""))
                .map(|(kind, name)| format!("{kind}.{name}"))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn expected() -> BTreeSet<String> {
    RESOURCES.iter().map(|&resource| resource.to_owned()).collect()
}

#[test]
fn the_module_declares_these_resources_and_no_other() {
    let texts = || {
        fs::read_dir(MODULE)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
            .map(|path| fs::read_to_string(path).unwrap())
    };
    assert_eq!(declared(texts()), expected());
    // What a test with a mocked provider cannot see: another resource beside those that it asks for.
    for planted in ["aws_vpc_security_group_ingress_rule", "aws_iam_role_policy_attachment"] {
        let more = format!("resource \"{planted}\" \"planted\" {{\n}}\n");
        assert_ne!(declared(texts().chain([more])), expected(), "{planted}");
    }
}

#[test]
fn the_module_and_its_example_are_formatted_and_valid() {
    let tool = match tool::find() {
        Ok(tool) => tool,
        Err(because) => return skip::skip("the module and its example are formatted and valid", &because),
    };
    let copy = Copy::new(tool, &[]);
    let formatted = copy.run(&["fmt", "-check", "-diff", "-recursive"]);
    assert!(formatted.success, "write terraform fmt -recursive:\n{}", formatted.text);
    let valid = copy.run(&["validate", "-no-color"]);
    assert!(valid.success, "{}", valid.text);
    let example = copy.example("default");
    let valid = example.run(&["validate", "-no-color"]);
    assert!(valid.success, "{}", valid.text);
}

#[test]
fn the_native_tests_pass() {
    let tool = match tool::find() {
        Ok(tool) => tool,
        Err(because) => return skip::skip("the native tests pass", &because),
    };
    let tested = Copy::new(tool, &[]).run(&["test", "-no-color"]);
    assert!(tested.success, "{}", tested.text);
    assert!(tested.text.contains(" passed, 0 failed."), "{}", tested.text);
}

#[test]
fn the_native_tests_find_planted_faults() {
    let tool = match tool::find() {
        Ok(tool) => tool,
        Err(because) => return skip::skip("the native tests find planted faults", &because),
    };
    for together in PLANTED {
        let copy = Copy::new(tool, &[]);
        for fault in together {
            copy.edit(fault.file, |text| {
                assert!(text.contains(fault.from), "{} has no {:?} any more", fault.file, fault.from);
                text.replacen(fault.from, fault.to, 1)
            });
        }
        let tested = copy.run(&["test", "-no-color", "-filter=tests/contract.tftest.hcl"]);
        assert!(!tested.success, "{}", tested.text);
        // Terraform breaks lines where a terminal would.
        let said = tested.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for fault in together {
            assert!(said.contains(fault.said), "{} → {:?}:\n{}", fault.file, fault.to, tested.text);
        }
    }
}

/// One deployment of two instances, from the first plan to the last: what a person does with it over its life.
#[test]
fn it_is_applied_once_changed_and_destroyed() {
    let tool = match tool::find() {
        Ok(tool) => tool,
        Err(because) => return skip::skip("it is applied once, changed and destroyed", &because),
    };
    let moto = Moto::start();
    let deployment = Deployment::new(tool, &moto.endpoint);
    let environment = "prod \"eu\" $HOME `id` \\ 100%";
    // Whatever would end a here-document, or mean something to Terraform or a shell.
    let settings = "# END_OF_SETTINGS\nEND_OF_ENV\nenvironment = '''\n$HOME `id` \"\\ %{ if } ü'''\n\n[notify.webhook]\nsecret = \"${credential:webhook}\"\n";
    deployment.apply(&[
        ("environment", environment),
        ("settings", settings),
        ("deletion_protection", "true"),
        ("instances", "2"),
    ]);

    let planned = deployment.plan();
    assert_eq!(planned.code, Some(0), "a second plan is empty:\n{}", planned.text);
    let state = deployment.state();
    assert_eq!(state.resources(), expected());

    let outputs = state.outputs();
    let listed = |name: &str| -> Vec<String> { serde_json::from_value(outputs[name].clone()).unwrap() };
    let (ids, addresses) = (listed("instance_ids"), listed("public_ips"));
    assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with("i-")), "{outputs}");
    assert!(addresses.len() == 2 && addresses.iter().all(|ip| ip.parse::<std::net::IpAddr>().is_ok()), "{outputs}");
    assert_eq!(
        (&outputs["instance_id"], &outputs["public_ip"]),
        (&ids[0].as_str().into(), &addresses[0].as_str().into())
    );
    let zones = zones_of_the_group(&outputs, &moto);
    assert!(zones.len() > 1, "{zones:?}");
    assert_eq!(outputs["topic_arn"], "arn:aws:sns:eu-central-1:123456789012:api-health-alerts", "{outputs}");

    assert_eq!(state.group_tags()["Owner"], "platform", "the provider's default tags");
    next_steps_find(&ids, &outputs, &moto);

    let laid_down = format!("{settings}\n[fleet]\nexpected = 2\n");
    user_data::check(&state.user_data(), environment, &laid_down, &moto);

    let refused = deployment.destroy();
    assert!(!refused.success, "{}", refused.text);
    for table in ["api_health_configs", "api_health_states", "api_health_history"] {
        let said = format!("Table '{table}' can't be deleted");
        assert!(refused.text.contains(&said), "{}", refused.text);
    }
    // The rest is gone by now, and is not made again only to be destroyed.
    let tables = ["aws_dynamodb_table.configs", "aws_dynamodb_table.states", "aws_dynamodb_table.history"];
    deployment.apply_only(&tables, &[("deletion_protection", "false")]);
    let destroyed = deployment.destroy();
    assert!(destroyed.success, "{}", destroyed.text);
    let left = deployment.state().resources();
    assert!(left.is_empty(), "{left:?}");
}

/// What a line of shell with the AWS command line prints.
fn printed(line: &str, moto: &Moto) -> String {
    let aws = tools::path("venv/bin/aws");
    let path = format!("{}:/usr/bin:/bin", aws.parent().unwrap().display());
    let ran = Command::new("bash")
        .args(["-euc", line])
        .env_clear()
        .env("PATH", path)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .envs(moto.environment())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// The instance that the last step opens a shell on, as a shell and the AWS command line find it.
fn next_steps_find(ids: &[String], outputs: &Value, moto: &Moto) {
    let steps = outputs["next_steps"].as_str().unwrap();
    let (_, rest) = steps.split_once("--target ").unwrap();
    let (target, _) = rest.split_once("\n     systemctl").unwrap();
    let found = printed(&format!("printf %s {target}"), moto);
    assert!(ids.contains(&found), "{found:?} is none of {ids:?}");
}

/// The zones of the subnets that the group may use. (moto puts all instances into the first; EC2 spreads them.)
fn zones_of_the_group(outputs: &Value, moto: &Moto) -> BTreeSet<String> {
    let group = outputs["autoscaling_group_name"].as_str().unwrap();
    let line = format!(
        "subnets=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} --output text \
           --query 'AutoScalingGroups[0].VPCZoneIdentifier')
         aws ec2 describe-subnets --subnet-ids ${{subnets//,/ }} --query 'Subnets[].AvailabilityZone' --output text"
    );
    printed(&line, moto).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_readme_names_the_package_that_is_built() {
    let readme = fs::read_to_string(Path::new(MODULE).join("README.md")).unwrap();
    let built = concat!("target/packages/api-health-", env!("CARGO_PKG_VERSION"), "-1.aarch64.rpm");
    assert!(readme.contains(built), "{built}");
}

#[test]
fn nothing_of_a_machine_is_in_the_module() {
    fn texts(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != ".terraform" {
                texts(&path, found);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((name, text));
            }
        }
    }
    let mut found = Vec::new();
    texts(Path::new(MODULE), &mut found);
    assert!(found.len() > 10, "{}", found.len());
    for (name, text) in found.iter().filter(|(name, _)| name != ".terraform.lock.hcl" && !name.ends_with(".tfstate")) {
        for never in ["registry.", "endpoint_url", "skip_credentials", "AWS_ENDPOINT"] {
            assert!(!text.contains(never), "{name} has {never}");
        }
    }
}
