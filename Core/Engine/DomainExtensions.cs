// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>What users of the core see of a domain and drivers do not.</summary>
public static class DomainExtensions
{
    extension(Domain domain)
    {
        /// <summary>The unit it belongs to.</summary>
        public IommuInstance Instance => ((DomainRecord)domain).Instance;

        /// <summary>The space in which its PASIDs have their meaning.</summary>
        public PasidSpace Space => ((DomainRecord)domain).Space;
    }
}
