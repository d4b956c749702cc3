// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>Indexes of tenants, by which an allocator knows them: from 1, 0 for none.</summary>
internal sealed class Tenants
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _owners = new(StringComparer.Ordinal);

    /// <returns>The tenant's index; ENOSPC beyond the limit of tenants.</returns>
    public OpResult<int> IndexOf(string tenant)
    {
        if (tenant.Length == 0)
        {
            return OpResult<int>.Ok(0);
        }

        lock (_gate)
        {
            if (!_owners.TryGetValue(tenant, out int owner))
            {
                if (_owners.Count == QuotaPasidAllocator.MaxOwner)
                {
                    return OpResult<int>.Refuse(Errno.ENOSPC,
                        $"tenant '{tenant}' is one too many: {QuotaPasidAllocator.MaxOwner} are the limit");
                }

                _owners[tenant] = owner = _owners.Count + 1;
            }

            return OpResult<int>.Ok(owner);
        }
    }
}
