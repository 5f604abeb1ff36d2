// <modiste-list scenario="product-page" item="0002">: recommendations on any page; see docs/how-to/storefront.md
(() => {
if (customElements.get("modiste-list")) return
const home = document.currentScript?.src.split("/storefront/")[0]
const lists = new Set(), style = new CSSStyleSheet()
style.replaceSync(`
:host { display: block }
:host([hidden]) { display: none }
ul { display: grid; gap: var(--modiste-gap, 1rem); list-style: none; margin: 0; padding: 0;
	grid-template-columns: repeat(auto-fill, minmax(min(var(--modiste-width, 10rem), 100%), 1fr)) }
a { border-radius: var(--modiste-radius, 6px); color: inherit; display: block; text-decoration: none }
img { aspect-ratio: var(--modiste-ratio, 3/4); background: var(--modiste-ground, #f3f0eb); border-radius: inherit;
	height: auto; object-fit: cover; width: 100% }
span { display: block; margin-top: .35em }
ins { margin-right: .5em; text-decoration: none }`) // nothing moves

// Without consent, or against the browser's own word, nothing is kept or reported.
const settings = window.modiste ??= {}
let consent = settings.consent, visitor
Object.defineProperty(settings, "consent", {
	get: () => consent,
	set(given) { consent = given; lists.forEach((one) => one.watch()) },
})
const session = () => {
	try {
		visitor ??= localStorage.modiste ??= crypto.getRandomValues(new Uint32Array(4)).join("-")
	} catch { visitor = "" + Math.random() } // no storage: known on this page only
	return visitor
}
const make = (tag, part, said, ...inside) => {
	const made = Object.assign(document.createElement(tag), said)
	made.part = part
	made.append(...inside)
	return made
}
const words = (name) => (name ?? "").replaceAll("_", " ")

customElements.define("modiste-list", class extends HTMLElement {
	static observedAttributes = "consent item items key placement scenario shopper src top".split(" ")

	connectedCallback() { lists.add(this), this.refresh() }

	disconnectedCallback() { lists.delete(this), this.leave() }

	attributeChangedCallback(name) {
		if (name == "consent") this.watch()
		else if (this.isConnected) this.refresh()
	}

	of(name) { return this.getAttribute(name) ?? "" }

	get home() { return this.of("src") || home }

	get allowed() {
		return !navigator.globalPrivacyControl && navigator.doNotTrack != "1" &&
			(this.of("consent") ? this.of("consent") == "granted" : consent === true)
	}

	refresh() { // once for many changes
		this.due ??= setTimeout(() => this.load(this.due = null))
	}

	leave() {
		this.abort?.abort()
		this.watcher?.disconnect()
		this.watcher = null
	}

	async load() {
		this.leave()
		const abort = this.abort = new AbortController()
		setTimeout(() => abort.abort(), 3000)
		let list = { recommendations: [] }
		try {
			const answer = await fetch(this.address(), { credentials: "omit", signal: abort.signal })
			const told = await answer.json()
			if (!answer.ok) throw Error(told.detail)
			list = told
		} catch (error) {
			console.info(error)
		}
		if (this.abort == abort) this.show(list)
	}

	address() {
		const item = this.of("item"), one = encodeURIComponent(item || this.of("shopper"))
		const query = new URLSearchParams()
		for (const name of ["key", "placement", "scenario", "top"]) if (this.of(name)) query.set(name, this.of(name))
		if (!one) for (const seen of this.of("items").split(" ")) if (seen) query.append("items", seen)
		if (this.allowed) query.set("session", session())
		const path = item ? `items/${one}/similar` : one ? `shoppers/${one}/recommendations` : "recommendations"
		return `${this.home}/v1/${path}?${query}`
	}

	show({ list_id, recommendations }) { // without one, what stands inside the element
		const root = this.shadowRoot ?? this.attachShadow({ mode: "open" })
		root.adoptedStyleSheets = [style]
		this.list = list_id
		const said = { role: "list", ariaLabel: this.of("label") || "Recommendations" } // no role in Safari otherwise
		const cards = recommendations.map((one) => this.card(one))
		root.replaceChildren(cards.length ? make("ul", "list", said, ...cards) : make("slot"))
		this.watch()
	}

	card(one) {
		const title = one.title ?? words(one.category ?? one.item_id)
		const alt = `${one.colour ?? ""} ${words(one.category)}`.trim()
		const href = one.url ?? this.of("link").replace("{item_id}", encodeURIComponent(one.item_id))
		const link = make("a", "link", href && { href }, make("img", "image", {
			alt: alt == title ? "" : alt, loading: "lazy", width: 240, height: 320,
			src: one.thumbnail ? this.home + one.thumbnail + "?height=330" + (this.of("key") && "&key=" + this.of("key")) : "data:,",
		}), make("span", "title", {}, title))
		const money = (value) => value.toLocaleString(document.documentElement.lang || [],
			one.currency ? { style: "currency", currency: one.currency } : {})
		const now = one.sale_price ?? one.price
		if (now != null) link.append(make("span", "price", {}, make("ins", "now", {}, money(now)),
			now < one.price ? make("del", "was", {}, money(one.price)) : ""))
		if (this.hasAttribute("why")) link.append(make("span", "why", {}, one.why))
		link.onclick = link.onauxclick = (event) => event.button < 2 && this.report("clicks", { item_id: one.item_id })
		return make("li", "item", {}, link)
	}

	watch() { // seen: half of an item, for a second
		if (!this.allowed || this.watcher || !this.list) return
		const inView = new Set()
		let timer
		this.watcher = new IntersectionObserver((entries) => {
			for (const one of entries) inView[one.intersectionRatio < .5 ? "delete" : "add"](one.target)
			if (!inView.size) timer = clearTimeout(timer)
			else timer ??= setTimeout(() => {
				this.watcher?.disconnect()
				this.report("impressions")
			}, 1000)
		}, { threshold: .5 })
		this.shadowRoot.querySelectorAll("li").forEach((one) => this.watcher.observe(one))
	}

	report(what, said) {
		if (this.list && this.allowed) navigator.sendBeacon(`${this.home}/v1/${what}`,
			JSON.stringify([{ list_id: this.list, session: session(), ...said }]))
	}
})
})()
