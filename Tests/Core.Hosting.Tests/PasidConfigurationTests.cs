// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Moq;
using PasidFramework.Engine;
using PasidFramework.Hosting.Options;

namespace PasidFramework.Hosting.Tests;

public sealed class PasidConfigurationTests : IDisposable
{
    private const string AllKeys =
        "Ownership, Allocator, First, Last, Reserved, QuarantineFrees, QuarantineMilliseconds, "
        + "QuotaPerTenant, Lifetime, Seed";

    private readonly string _folder = Directory.CreateTempSubdirectory("pasid-options-").FullName;
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Without_any_source_every_option_has_its_default()
    {
        PasidOptions options = Bound(new PasidConfigurationSources());
        PasidOptions defaults = new();
        Assert.Equal(
            (defaults.Ownership, defaults.Allocator, defaults.First, defaults.Last, defaults.Lifetime, defaults.Seed),
            (options.Ownership, options.Allocator, options.First, options.Last, options.Lifetime, options.Seed));
        Assert.Empty(options.Reserved);
    }

    [Fact]
    public void Every_key_is_read()
    {
        string file = Write("all.json", """
            {
              // Comments and trailing commas are for people.
              "Logging": { "Level": "Debug" },
              "pasid": {
                "Ownership": "vendor", "Allocator": "cyclic", "First": 16, "Last": "0xFF", "Reserved": [20, 21],
                "QuarantineFrees": 7, "QuarantineMilliseconds": 8, "QuotaPerTenant": 9, "Lifetime": "process-death",
                "Seed": 18446744073709551615,
              }
            }
            """);
        PasidOptions options = Bound(new PasidConfigurationSources { JsonFile = file });

        Assert.Equal(
            ("vendor", "cyclic", 16, 255, 7, 8, 9, "process-death", ulong.MaxValue),
            (options.Ownership, options.Allocator, options.First, options.Last, options.QuarantineFrees,
                options.QuarantineMilliseconds, options.QuotaPerTenant, options.Lifetime, options.Seed));
        Assert.Equal([20, 21], options.Reserved);
        Assert.Equal(AllKeys, string.Join(", ", PasidConfiguration.Keys));
    }

    [Fact]
    public void Stronger_sources_win()
    {
        Write("appsettings.json", """{ "Pasid": { "First": 1, "Last": 11, "QuotaPerTenant": 111, "Seed": 1111 } }""");
        string file = Write("extra.json", """{ "Pasid": { "Last": 22, "QuotaPerTenant": 222, "Seed": 2222 } }""");
        PasidConfigurationSources sources = new()
        {
            JsonFile = file,
            Pairs = ["Pasid:Seed=4443", "pasid:seed=4444"],
        };
        PasidOptions options = Bound(sources, new Hashtable
        {
            ["PASIDCTL_Pasid__QuotaPerTenant"] = "333",
            ["PASIDCTL_PASID__SEED"] = "3333",
            ["Pasid__First"] = "not ours",
        });

        Assert.Equal((1, 22, 333, 4444UL), (options.First, options.Last, options.QuotaPerTenant, options.Seed));
    }

    [Fact]
    public void A_typo_in_a_key_names_the_key_its_source_and_the_allowed_keys()
    {
        string file = Write("typo.json", """{ "Pasid": { "Frist": 1 } }""");
        AssertRefused(
            new PasidConfigurationSources { JsonFile = file },
            $"unknown key Pasid:Frist ({file}); the keys of Pasid are {AllKeys}");
        AssertRefused(
            new PasidConfigurationSources(),
            $"unknown key Pasid:Frist (environment variable PASIDCTL_Pasid__Frist); the keys of Pasid are {AllKeys}",
            new Hashtable { ["PASIDCTL_Pasid__Frist"] = "1" });
        AssertRefused(
            new PasidConfigurationSources { Pairs = ["Pasid:Frist=1"] },
            $"unknown key Pasid:Frist (command line); the keys of Pasid are {AllKeys}");
        AssertRefused(
            new PasidConfigurationSources { Pairs = ["Pasid:First:Deeper=1"] },
            "unknown key Pasid:First:Deeper (command line): Pasid:First is a whole number (-9223372036854775808 to "
                + "9223372036854775807), it has no keys of its own");
    }

    [Theory]
    [InlineData("Pasid:First=few",
        "Pasid:First = 'few' (command line): a whole number (-9223372036854775808 to 9223372036854775807) is expected")]
    [InlineData("Pasid:First=",
        "Pasid:First = '' (command line): a whole number (-9223372036854775808 to 9223372036854775807) is expected")]
    [InlineData("Pasid:QuotaPerTenant=2147483648",
        "Pasid:QuotaPerTenant = '2147483648' (command line): a whole number (-2147483648 to 2147483647) is expected")]
    [InlineData("Pasid:Seed=-1",
        "Pasid:Seed = '-1' (command line): a whole number (0 to 18446744073709551615) is expected")]
    [InlineData("Pasid:QuarantineFrees=1.5",
        "Pasid:QuarantineFrees = '1.5' (command line): a whole number (-2147483648 to 2147483647) is expected")]
    [InlineData("Pasid:Reserved=5", "Pasid:Reserved = '5' (command line): a list of whole numbers (one key for each: "
        + "Pasid:Reserved:0, Pasid:Reserved:1) is expected")]
    [InlineData("Pasid:Reserved:0=x", "Pasid:Reserved:0 = 'x' (command line): a whole number (-9223372036854775808 to "
        + "9223372036854775807) is expected")]
    [InlineData("Pasid:Reserved:0:1=1", "unknown key Pasid:Reserved:0:1 (command line): Pasid:Reserved:0 is a whole "
        + "number (-9223372036854775808 to 9223372036854775807), it has no keys of its own")]
    public void A_value_of_another_type_names_key_value_and_type(string pair, string expected) =>
        AssertRefused(new PasidConfigurationSources { Pairs = [pair] }, expected);

    [Theory]
    [InlineData("{ \"Pasid\": { \"First\": null } }",
        "Pasid:First = null ({0}): a whole number (-9223372036854775808 to 9223372036854775807) is expected")]
    [InlineData("{ \"Pasid\": { \"Allocator\": null } }", "Pasid:Allocator = null ({0}): a text is expected")]
    [InlineData("{ \"Pasid\": 16 }", "Pasid = '16' ({0}): a section with keys is expected; its keys are " + AllKeys)]
    [InlineData("{ \"Pasid\": { \"Last\": [1, 2] } }", "unknown key Pasid:Last:0 ({0}): Pasid:Last is a whole number "
        + "(-9223372036854775808 to 9223372036854775807), it has no keys of its own")]
    public void A_value_of_another_shape_names_key_and_file(string json, string expected)
    {
        string file = Write("shape.json", json);
        AssertRefused(
            new PasidConfigurationSources { JsonFile = file }, expected.Replace("{0}", file, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{ }"), InlineData("{ \"Pasid\": { } }"), InlineData("{ \"Pasid\": { \"Reserved\": [] } }")]
    [InlineData("\uFEFF{ \"Pasid\": { } }")]
    public void An_empty_section_is_fine(string json) =>
        Assert.Empty(Bound(new PasidConfigurationSources { JsonFile = Write("empty.json", json) }).Reserved);

    [Theory]
    [InlineData("First=16", "unknown key First (command line); the keys are Pasid:Ownership, ")]
    [InlineData("Pasd:First=16", "unknown key Pasd:First (command line); the keys are Pasid:Ownership, ")]
    [InlineData("Pasid:First", "'Pasid:First' (command line): KEY=VALUE is expected, such as Pasid:First=16")]
    [InlineData("=16", "'=16' (command line): KEY=VALUE is expected, such as Pasid:First=16")]
    [InlineData("", "'' (command line): KEY=VALUE is expected, such as Pasid:First=16")]
    public void A_malformed_pair_is_refused(string pair, string expected)
    {
        OpResult<IConfigurationRoot> built =
            PasidConfiguration.Build(Isolated(new PasidConfigurationSources { Pairs = [pair] }));
        Assert.Equal(Errno.EINVAL, built.Errno);
        Assert.StartsWith(expected, built.Reason);
    }

    [Theory]
    [InlineData("{\n  \"Pasid\": {\n    \"First\": sixteen\n  }\n}", 3, "'s' is an invalid start of a value.")]
    [InlineData("{\n  \"Pasid\": {\n    \"First\": 16 }", 3,
        "Expected depth to be zero at the end of the JSON payload.")]
    [InlineData("{\n  \"Pasid\" 5 }", 2, "'5' is invalid after a property name. Expected a ':'.")]
    [InlineData("", 1,
        "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token")]
    [InlineData("[1]", 1, "an object in braces is expected, not a list")]
    public void Malformed_json_names_file_line_and_what_was_expected(string json, int line, string expected)
    {
        string file = Write("broken.json", json);
        OpResult<IConfigurationRoot> built =
            PasidConfiguration.Build(Isolated(new PasidConfigurationSources { JsonFile = file }));
        Assert.Equal(Errno.EINVAL, built.Errno);
        Assert.StartsWith($"{file}, line {line}: {expected}", built.Reason);
        Assert.DoesNotContain('\n', built.Reason!);
    }

    [Fact]
    public void A_key_that_stands_twice_in_a_file_is_refused()
    {
        string file = Write("twice.json", """{ "Pasid": { "First": 1, "first": 2 } }""");
        OpResult<IConfigurationRoot> built =
            PasidConfiguration.Build(Isolated(new PasidConfigurationSources { JsonFile = file }));
        Assert.Equal(Errno.EINVAL, built.Errno);
        Assert.StartsWith($"{file}: ", built.Reason);
        Assert.Contains("Pasid:first", built.Reason);
    }

    [Fact]
    public void A_default_file_that_is_malformed_is_named_too()
    {
        string file = Write("appsettings.json", "{");
        OpResult<IConfigurationRoot> built = PasidConfiguration.Build(Isolated(new PasidConfigurationSources()));
        Assert.StartsWith($"{file}, line 1: ", built.Reason);
    }

    [Fact]
    public void A_file_that_is_asked_for_must_exist()
    {
        string file = Path.Combine(_folder, "absent.json");
        OpResult<IConfigurationRoot> built =
            PasidConfiguration.Build(Isolated(new PasidConfigurationSources { JsonFile = file }));
        Assert.Equal((Errno.ENOENT, $"{file}: no such configuration file"), (built.Errno, built.Reason));
    }

    [Fact]
    public void Registered_validators_judge_the_bound_options()
    {
        Mock<IValidateOptions<PasidOptions>> validator = new(MockBehavior.Strict);
        validator.Setup(mock => mock.Validate(Microsoft.Extensions.Options.Options.DefaultName,
            It.Is<PasidOptions>(options => options.First == 16)))
            .Returns(ValidateOptionsResult.Fail(["Pasid:First = 16: too odd", "Pasid:Last: too even"]));
        using ServiceProvider services = Services(["Pasid:First=16"], validator.Object);

        OpResult<PasidOptions> options = services.GetPasidOptions();

        Assert.Equal((Errno.EINVAL, "Pasid:First = 16: too odd; Pasid:Last: too even"),
            (options.Errno, options.Reason));
        validator.VerifyAll();
    }

    [Fact]
    public void Valid_options_are_bound_once_and_shared()
    {
        using ServiceProvider services = Services(["Pasid:First=16", "Pasid:Reserved:0=20"]);

        OpResult<PasidOptions> options = services.GetPasidOptions();

        Assert.True(options.IsOk, options.Reason);
        Assert.Equal(16, options.Value.First);
        Assert.Equal([20], options.Value.Reserved);
        Assert.Same(options.Value, services.GetRequiredService<IOptions<PasidOptions>>().Value);
    }

    [Fact]
    public void A_wrong_key_is_reported_at_start()
    {
        using ServiceProvider services = Services(["Pasid:Frist=16"]);

        string expected = $"unknown key Pasid:Frist (command line); the keys of Pasid are {AllKeys}";
        Assert.Equal((Errno.EINVAL, expected), (services.GetPasidOptions().Errno, services.GetPasidOptions().Reason));
        OptionsValidationException thrown =
            Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<IStartupValidator>()
                .Validate());
        Assert.Equal([expected], thrown.Failures);
    }

    [Theory]
    [InlineData("Pasid:Last=99999999", "Pasid:Last"), InlineData("Pasid:Ownership=nobody", "core")]
    [InlineData("Pasid:Allocator=fastest", "lowest")]
    public void A_value_beyond_its_limit_is_reported_at_start_and_makes_no_core(string pair, string expected)
    {
        using ServiceProvider services = Services([pair]);

        OpResult<PasidOptions> options = services.GetPasidOptions();

        Assert.Equal(Errno.EINVAL, options.Errno);
        Assert.Contains(expected, options.Reason, StringComparison.Ordinal);
        Assert.Throws<OptionsValidationException>(services.GetRequiredService<IStartupValidator>().Validate);
        Assert.Throws<OptionsValidationException>(services.GetRequiredService<IommuCore>);
    }

    [Fact]
    public void The_registered_core_works()
    {
        using ServiceProvider services = Services(["Pasid:First=16"]);

        IommuCore core = services.GetRequiredService<IommuCore>();

        Assert.Same(core, services.GetRequiredService<IommuCore>());
        Assert.Empty(core.Instances);
    }

    [Fact]
    public void The_core_is_registered_once()
    {
        ServiceCollection services = new();
        IConfigurationRoot configuration = PasidConfiguration.Build(Isolated(new PasidConfigurationSources())).Value!;
        services.AddPasidFramework(configuration);
        ServiceDescriptor core = Assert.Single(services, service => service.ServiceType == typeof(IommuCore));
        Assert.Equal(ServiceLifetime.Singleton, core.Lifetime);
    }

    private ServiceProvider Services(string[] pairs, params IValidateOptions<PasidOptions>[] validators)
    {
        IConfigurationRoot configuration =
            PasidConfiguration.Build(Isolated(new PasidConfigurationSources { Pairs = pairs })).Value!;
        ServiceCollection services = new();
        foreach (IValidateOptions<PasidOptions> validator in validators)
        {
            services.AddSingleton(validator);
        }

        return services.AddPasidFramework(configuration).BuildServiceProvider();
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    // The developer's own environment and build output must not decide a test.
    private PasidConfigurationSources Isolated(PasidConfigurationSources sources, Hashtable? environment = null) =>
        sources with { BaseDirectory = _folder, Environment = environment ?? [] };

    private PasidOptions Bound(PasidConfigurationSources sources, Hashtable? environment = null)
    {
        OpResult<IConfigurationRoot> built = PasidConfiguration.Build(Isolated(sources, environment));
        Assert.True(built.IsOk, built.Reason);
        OpResult<PasidOptions> options = PasidConfiguration.Bind(built.Value);
        Assert.True(options.IsOk, options.Reason);
        return options.Value;
    }

    private void AssertRefused(PasidConfigurationSources sources, string expected, Hashtable? environment = null)
    {
        OpResult<IConfigurationRoot> built = PasidConfiguration.Build(Isolated(sources, environment));
        Assert.True(built.IsOk, built.Reason);
        OpResult<PasidOptions> options = PasidConfiguration.Bind(built.Value);
        Assert.Equal((Errno.EINVAL, expected), (options.Errno, options.Reason));
    }
}
