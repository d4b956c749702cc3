// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Allocation;

/// <summary>
/// Checks <see cref="PasidOptions"/> once, at start. It reports every failure at once, each as one line that names
/// key, value and limit.
/// </summary>
/// <remarks>Plain comparisons, no reflection: it survives trimming and ahead-of-time compilation.</remarks>
public sealed class PasidOptionsValidator : IValidateOptions<PasidOptions>
{
    private static readonly string[] s_ownerships = ["core", "vendor"];
    private static readonly string[] s_lifetimes = ["last-unbind", "process-death"];
    private readonly string[] _allocators;

    /// <summary>Makes a validator that knows the built-in policies and some more.</summary>
    /// <param name="extraAllocators">Names of the policies that plug-ins export; may be null.</param>
    public PasidOptionsValidator(IEnumerable<string>? extraAllocators = null) =>
        _allocators =
        [
            .. PasidAllocators.BuiltIn.Keys.Concat(extraAllocators ?? [])
                .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
        ];

    public ValidateOptionsResult Validate(string? name, PasidOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        List<string> failures = [];
        CheckName(failures, nameof(options.Ownership), options.Ownership, s_ownerships);
        CheckName(failures, nameof(options.Allocator), options.Allocator, _allocators);
        CheckName(failures, nameof(options.Lifetime), options.Lifetime, s_lifetimes);
        CheckRange(failures, options);
        CheckLimit(
            failures, nameof(options.QuarantineMilliseconds), options.QuarantineMilliseconds,
            QuarantinePasidAllocator.MaxMilliseconds, "one day");
        CheckLimit(
            failures, nameof(options.QuotaPerTenant), options.QuotaPerTenant, Pasid.MaxValue + 1L, "0 is no limit");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static void CheckRange(List<string> failures, PasidOptions options)
    {
        bool firstFits = CheckLimit(failures, nameof(options.First), options.First, Pasid.MaxValue, "20 bits");
        bool lastFits = CheckLimit(failures, nameof(options.Last), options.Last, Pasid.MaxValue, "20 bits");
        bool isOrdered = options.First <= options.Last;
        if (firstFits && lastFits && !isOrdered)
        {
            Fail(failures, nameof(options.First), $"{options.First}, must be at most Pasid:Last ({options.Last})");
        }

        if (!firstFits || !lastFits || !isOrdered)
        {
            // Without a range, PASIDs can only be held against the width.
            CheckReserved(failures, options, 0, Pasid.MaxValue, "20 bits");
            CheckLimit(
                failures, nameof(options.QuarantineFrees), options.QuarantineFrees, Pasid.MaxValue,
                "0 is no quarantine");
            return;
        }

        CheckReserved(failures, options, options.First, options.Last, "Pasid:First to Pasid:Last");
        HashSet<long> reserved = [.. options.Reserved.Where(n => n >= options.First && n <= options.Last)];
        long usable = options.Last - options.First + 1 - reserved.Count;
        if (usable == 0)
        {
            Fail(
                failures, nameof(options.Reserved),
                $"{reserved.Count} PASIDs, must leave one of Pasid:First to Pasid:Last");
            return;
        }

        CheckLimit(
            failures, nameof(options.QuarantineFrees), options.QuarantineFrees, usable - 1,
            Text($"less than the {usable} PASIDs of Pasid:First to Pasid:Last that are not reserved"));
    }

    private static void CheckReserved(List<string> failures, PasidOptions options, long first, long last, string limit)
    {
        for (int i = 0; i < options.Reserved.Count; i++)
        {
            long number = options.Reserved[i];
            if (number < first || number > last)
            {
                string key = Text($"{nameof(options.Reserved)}:{i}");
                Fail(failures, key, $"{number}, must be {first} to {last} ({limit})");
            }
        }
    }

    private static bool CheckLimit(List<string> failures, string key, long value, long limit, string why)
    {
        bool fits = value >= 0 && value <= limit;
        if (!fits)
        {
            Fail(failures, key, $"{value}, must be 0 to {limit} ({why})");
        }

        return fits;
    }

    private static void CheckName(List<string> failures, string key, string? value, string[] known)
    {
        if (!known.Contains(value, StringComparer.Ordinal))
        {
            Fail(failures, key, $"'{value}', must be one of {string.Join(", ", known)}");
        }
    }

    private static void Fail(List<string> failures, string key, InvariantText rest) =>
        failures.Add($"{PasidOptions.SectionName}:{key} is {Text(rest)}");
}
