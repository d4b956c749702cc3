// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// What a driver did that the specification forbids and that no fault code reports; each violation once, at most 1000.
/// Safe for concurrent use.
/// </summary>
/// <param name="memory">The memory, whose reads of freed pages count as well.</param>
/// <param name="strayRule">The rule for such reads; null where the model reports them by itself.</param>
/// <param name="straySection">Where the specification says so, in brackets; may be empty.</param>
public sealed class ViolationLog(IModelMemory memory, string? strayRule = null, string straySection = "")
{
    private const int Max = 1000;
    private readonly Lock _gate = new();
    private readonly List<ProtocolViolation> _violations = [];

    /// <summary>Takes one down.</summary>
    /// <param name="rule">Short permanent name, such as <c>vtd-kept</c>.</param>
    /// <param name="message">What happened, where, and the specification's section.</param>
    public void Report(string rule, string message)
    {
        var violation = new ProtocolViolation(rule, message);
        lock (_gate)
        {
            if (_violations.Count < Max && !_violations.Contains(violation))
            {
                _violations.Add(violation);
            }
        }
    }

    /// <summary>All so far, oldest first, reads of freed pages behind them.</summary>
    public IReadOnlyList<ProtocolViolation> All()
    {
        IEnumerable<ProtocolViolation> strays = strayRule is null
            ? []
            : memory.StrayReads.Where(read => read.WasFreed).Select(read => new ProtocolViolation(
                strayRule, $"the walker read freed memory at 0x{read.Address:x}{straySection}"));
        lock (_gate)
        {
            return [.. _violations, .. strays];
        }
    }
}
