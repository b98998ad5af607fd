// What the theme leaves out for people who use a keyboard or a screen reader.
addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
  for (const corner of document.querySelectorAll("th")) if (!corner.textContent.trim()) corner.replaceWith(document.createElement("td"));
  const article = document.querySelector("[role=main]");
  if (article && !document.querySelector("h1")) article.insertAdjacentHTML("afterbegin", "<h1>Search</h1>");
  const focusable = () => {
    for (const part of document.querySelectorAll("pre, .table-wrapper")) {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
    }
  };
  focusable();
  addEventListener("resize", focusable);
});
