// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using PasidFramework.Allocation;
using PasidFramework.Comparison.Replay;
using PasidFramework.Hosting.Options;

namespace PasidFramework.Cli.Common;

/// <summary>The configured options: files, environment and command line, in this order.</summary>
internal static class Settings
{
    // What a policy stands for cannot be configured beside it.
    private static readonly string[] s_ofPolicies = [nameof(PasidOptions.Ownership), nameof(PasidOptions.Allocator)];

    /// <summary>Reads the options and checks them under every policy that is to run.</summary>
    /// <exception cref="UsageException">Something is wrong with them.</exception>
    public static PasidOptions Load(
        string? file,
        IReadOnlyList<string> pairs,
        IReadOnlyList<Policy> policies,
        ulong? seed,
        IEnumerable<string> allocators)
    {
        foreach (string key in s_ofPolicies)
        {
            string path = $"{PasidOptions.SectionName}:{key}";
            if (pairs.Any(p => p.StartsWith(path + "=", StringComparison.OrdinalIgnoreCase)))
            {
                throw new UsageException($"--set: {path} belongs to the policies; expected --policy NAME instead");
            }
        }

        OpResult<IConfigurationRoot> built = PasidConfiguration.Build(
            new PasidConfigurationSources { JsonFile = file, Pairs = pairs });
        if (!built.IsOk)
        {
            throw new UsageException(built.Reason!);
        }

        OpResult<PasidOptions> options = PasidConfiguration.Bind(built.Value);
        if (!options.IsOk)
        {
            throw new UsageException(options.Reason!);
        }

        var validator = new PasidOptionsValidator(allocators);
        foreach (Policy policy in policies)
        {
            ValidateOptionsResult result = validator.Validate(
                null, policy.Derive(options.Value, seed ?? options.Value.Seed));
            if (result.Failed)
            {
                throw new UsageException($"{string.Join("; ", result.Failures!)} (policy {policy})");
            }
        }

        return options.Value;
    }
}
