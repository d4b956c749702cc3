// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Emulation;

/// <summary>What is required for each of several things. Not safe for concurrent use.</summary>
/// <typeparam name="TKey">For what: a requester, an entry.</typeparam>
/// <typeparam name="TGroup">Invalidations that completed together.</typeparam>
/// <param name="report">Takes what was not done in time.</param>
public sealed class RequiredInvalidations<TKey, TGroup>(Action<TKey, RequiredInvalidation<TGroup>> report)
    where TKey : notnull
{
    private readonly Dictionary<TKey, RequiredInvalidation<TGroup>> _required = [];

    /// <summary>An entry went away.</summary>
    public void Require(TKey key, RequiredInvalidation<TGroup> required) => _required[key] = required;

    /// <summary>Whether something is missing for a key.</summary>
    public bool IsRequired(TKey key) => _required.ContainsKey(key);

    /// <summary>A group of invalidations has completed.</summary>
    public void Completed(TGroup group)
    {
        foreach ((TKey key, RequiredInvalidation<TGroup> required) in _required)
        {
            if (required.Completed(group))
            {
                // Removing while enumerating is defined for this collection.
                _required.Remove(key);
            }
        }
    }

    /// <summary>An entry is used again: what is missing for it is reported.</summary>
    public void ReportMissing(TKey key)
    {
        if (_required.Remove(key, out RequiredInvalidation<TGroup>? missing))
        {
            report(key, missing);
        }
    }

    /// <summary>Reports what is missing for some keys.</summary>
    /// <param name="concerns">For which.</param>
    /// <param name="withNew">Also where the group in which the cause arose has not completed yet.</param>
    public void ReportMissing(Func<TKey, bool> concerns, bool withNew = false)
    {
        ArgumentNullException.ThrowIfNull(concerns);
        foreach ((TKey key, RequiredInvalidation<TGroup> required) in _required)
        {
            if ((required.IsOld || withNew) && concerns(key))
            {
                ReportMissing(key);
            }
        }
    }
}
